"""Pools of workers: the cost of a tiny job, and what is lost when jobs are long."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor

from bench import go
from bench.registry import MICROSECONDS_EACH, SECONDS_IN_ALL, Bar, Contender, Row, Run
from bench.threads import expect


def tiny(number: int) -> int:
    """A job that costs nothing, so that all that is measured is the pool."""
    return number


def sleepy(number: int) -> int:
    """A job of 100 ms."""
    time.sleep(0.1)
    return number


def submit_then_collect(make: Callable[[], Executor], job: Callable[[int], int]) -> Run:
    """Submit every job, then ask for every result; starting threads counts, leaving the pool does not."""

    def run(count: int) -> float:
        with make() as pool:
            started_at = time.perf_counter()
            futures = [pool.submit(job, number) for number in range(count)]
            total = sum([future.result() for future in futures])
            seconds = time.perf_counter() - started_at
        expect(total, count * (count - 1) // 2)
        return seconds

    return run


def penstock_pool(max_workers: int, max_pending: int = 0) -> Callable[[], Executor]:
    """``WorkerPool(max_workers, max_pending=max_pending)``."""

    def make() -> Executor:
        from penstock.core.pool import WorkerPool

        return WorkerPool(max_workers, max_pending=max_pending)

    return make


TINY = Row(
    name="pool-tiny",
    title="20,000 tiny jobs on 8 workers: submitted, then their results",
    unit=MICROSECONDS_EACH,
    count=20_000,
    quick_count=4_000,
    contenders=(
        Contender("WorkerPool(8)", submit_then_collect(penstock_pool(8), tiny)),
        Contender("ThreadPoolExecutor(8)", submit_then_collect(lambda: ThreadPoolExecutor(8), tiny)),
        Contender("WorkerPool(8, max_pending=20_000)", submit_then_collect(penstock_pool(8, 20_000), tiny)),
        Contender("WorkerPool(8, max_pending=64)", submit_then_collect(penstock_pool(8, 64), tiny)),
        go.contender("Go, 8 goroutines on a channel", "pool", workers=8),
    ),
    bars=(Bar("WorkerPool(8)", "<=", 0.6, "ThreadPoolExecutor(8)"),),
)

SLEEPY = Row(
    name="pool-sleepy",
    title="1,000 jobs of 100 ms on 100 workers; 1 s would be perfect",
    unit=SECONDS_IN_ALL,
    count=1_000,
    quick_count=1_000,
    contenders=(
        Contender("WorkerPool(100)", submit_then_collect(penstock_pool(100), sleepy)),
        Contender("ThreadPoolExecutor(100)", submit_then_collect(lambda: ThreadPoolExecutor(100), sleepy)),
        go.contender("Go, 100 goroutines on a channel", "sleepers", workers=100),
    ),
    bars=(Bar("WorkerPool(100)", "<=", 1.03),),
)

ROWS = (TINY, SLEEPY)
