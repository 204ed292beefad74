"""At most N reused workers, with backpressure where the work comes in.

    with WorkerPool(8) as pool:
        for result in pool.map(fetch, urls): ...

A ``concurrent.futures.Executor`` that is bounded: ``submit`` blocks while the pool is full, ``map`` looks ahead only
as far as there are workers, and a worker survives whatever its job raises.

Where what lives: ``_pool`` the pool, ``_crew`` its workers and queues, ``_jobs`` what stands in those, ``_mapped`` the iterator that ``map`` returns.
"""

from penstock.core.pool._jobs import PoolStatistics
from penstock.core.pool._pool import WorkerPool

__all__ = ["PoolStatistics", "WorkerPool"]
