"""``WorkerPool``: a bounded number of reused threads, with backpressure on whoever submits work.

    with WorkerPool(8) as pool:
        for result in pool.map(fetch, urls): ...

A ``concurrent.futures.Executor`` whose queue is bounded: ``submit`` blocks while the pool is full, and ``map`` takes
items only as far ahead as the pool accepts jobs. A worker survives whatever its job raises.

The modules: ``_pool`` is the public class, ``_crew`` has its workers and queues, ``_jobs`` the entries of the queues,
``_mapped`` the iterator that ``map`` returns.
"""

from penstock.core.pool._jobs import PoolStatistics
from penstock.core.pool._pool import WorkerPool

__all__ = ["PoolStatistics", "WorkerPool"]
