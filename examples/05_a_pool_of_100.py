"""A pool of 100 workers: 1,000 jobs of 100 ms in a second, crashes that cost nothing, and the memory back afterwards.

`submit` blocks while 100 jobs run, so the thousand are never all in memory. A job that raises, even `SystemExit`, ends
neither its worker nor the pool: the exception waits in its future.
"""

from __future__ import annotations

import threading
import time

from _local import resident_mib

import penstock

WORKERS, JOBS, JOB_SECONDS = 100, 1000, 0.1


def job(number: int) -> int:
    penstock.sleep(JOB_SECONDS)  # a call to a slow service, say
    return number


def crash(how: type[BaseException]) -> None:
    raise how("the job crashed")


def main() -> None:
    before_mib = resident_mib()
    with penstock.WorkerPool(WORKERS) as pool:
        started = time.monotonic()
        futures = [pool.submit(job, number) for number in range(JOBS)]
        total = sum(future.result() for future in futures)
        seconds = time.monotonic() - started
        with_mib = resident_mib()
        print(f"{JOBS:,} jobs of 100 ms on {pool.worker_count} workers: {seconds:.2f} s")
        assert total == sum(range(JOBS))
        assert seconds < 3  # 1 s on an idle machine
        assert pool.worker_count == WORKERS

        ways = [ZeroDivisionError, MemoryError, SystemExit] * WORKERS
        crashed = [pool.submit(crash, how) for how in ways]
        kinds = sorted({type(future.exception()).__name__ for future in crashed})
        print(f"{len(crashed)} jobs crashed with {', '.join(kinds)}; workers now: {pool.worker_count}")
        assert pool.worker_count == WORKERS
        assert pool.submit(job, 42).result() == 42
        print("... and the next job returned 42")

    del futures, crashed
    after_mib = resident_mib()
    print(f"memory before {before_mib:.0f} MiB, with 100 workers {with_mib:.0f} MiB, after {after_mib:.0f} MiB")
    print(f"threads left: {threading.active_count() - 1}")
    assert after_mib - before_mib < 20
    assert threading.active_count() == 1


if __name__ == "__main__":
    main()
