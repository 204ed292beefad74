"""In a process of its own: what one check for leaks costs, where how much lives in that process is known.

    python -m bench.leak_costs leakcheck --count 40 --objects 500000 --threads 200

prints the median of the repetitions, in seconds. Only the package that is measured is imported.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import queue
import statistics
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager, nullcontext

from bench.threads import expect
from tests.leaks.corpus import until_parked

Once = Callable[[], float]
"""Does the measured thing once and returns the seconds it took."""
Look = Callable[[], int]
"""Looks for what was left since it was made, and returns how many leaks that is."""


@contextmanager
def threadleak() -> Iterator[None]:
    """What the hook of pytest-threadleak does around a test, with its own function."""
    from pytest_threadleak import current_threads

    before = current_threads()
    yield
    expect(current_threads() - before, frozenset())


def leakcheck() -> AbstractContextManager[object]:
    from penstock.leaks import leakcheck

    return leakcheck()


def leakcheck_async() -> AbstractAsyncContextManager[object]:
    from penstock.leaks import leakcheck

    return leakcheck()


def pyleak_threads() -> AbstractContextManager[object]:
    from pyleak import no_thread_leaks

    return no_thread_leaks(action="raise")


def pyleak_threads_without_wait() -> AbstractContextManager[object]:
    from pyleak import no_thread_leaks

    return no_thread_leaks(action="raise", grace_period=0)


def pyleak_tasks() -> AbstractAsyncContextManager[object]:
    from pyleak import no_task_leaks

    return no_task_leaks(action="raise")


def nothing() -> None:
    """The empty block."""


def one_thread() -> None:
    """A block that starts a thread and joins it."""
    thread = threading.Thread(target=nothing)
    thread.start()
    thread.join()


def around(check: Callable[[], AbstractContextManager[object]], block: Callable[[], None] = nothing) -> Once:
    """Seconds that a block takes with a check around it."""

    def once() -> float:
        started_at = time.perf_counter()
        with check():
            block()
        return time.perf_counter() - started_at

    return once


def around_in_loop(check: Callable[[], AbstractAsyncContextManager[object]]) -> Once:
    """The same for an empty block in a task; starting the event loop does not count."""

    async def once() -> float:
        started_at = time.perf_counter()
        async with check():
            pass
        return time.perf_counter() - started_at

    return lambda: asyncio.run(once())


def snapshot() -> float:
    from penstock.leaks import snapshot

    started_at = time.perf_counter()
    snapshot()
    return time.perf_counter() - started_at


def penstock_looks() -> Look:
    from penstock.leaks import find_leaks, snapshot

    since = snapshot()
    return lambda: len(find_leaks(since=since, grace=0).proven)


def pyleak_looks() -> Look:
    from pyleak import ThreadLeakError

    check = pyleak_threads_without_wait()
    check.__enter__()

    def look() -> int:
        try:
            check.__exit__(None, None, None)
        except ThreadLeakError:
            return 1
        return 0

    return look


def threadleak_looks() -> Look:
    from pytest_threadleak import current_threads

    before = current_threads()
    return lambda: len(current_threads() - before)


def verdict(begin: Callable[[], Look]) -> Once:
    """Seconds to the verdict on one thread that waits on a queue nobody else can reach."""
    look = begin()
    thread = threading.Thread(target=queue.Queue[None]().get, name="stuck")
    thread.start()
    until_parked(thread)

    def once() -> float:
        started_at = time.perf_counter()
        leaks = look()
        seconds = time.perf_counter() - started_at
        expect(leaks, 1)
        return seconds

    return once


CASES: dict[str, Callable[[], Once]] = {
    "leakcheck": lambda: around(leakcheck),
    "leakcheck-async": lambda: around_in_loop(leakcheck_async),
    "snapshot": lambda: snapshot,
    "pyleak-threads": lambda: around(pyleak_threads),
    "pyleak-threads-without-wait": lambda: around(pyleak_threads_without_wait),
    "pyleak-tasks": lambda: around_in_loop(pyleak_tasks),
    "threadleak": lambda: around(threadleak),
    "thread": lambda: around(nullcontext, one_thread),
    "thread-leakcheck": lambda: around(leakcheck, one_thread),
    "thread-pyleak": lambda: around(pyleak_threads, one_thread),
    "thread-pyleak-without-wait": lambda: around(pyleak_threads_without_wait, one_thread),
    "thread-threadleak": lambda: around(threadleak, one_thread),
    "verdict-leakcheck": lambda: verdict(penstock_looks),
    "verdict-pyleak": lambda: verdict(pyleak_looks),
    "verdict-threadleak": lambda: verdict(threadleak_looks),
}


class Thing:
    """An object of a program: with attributes, and known to the collector."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.others: list[Thing] = []


def main() -> None:
    """Fill the process, run the case, print the median."""
    parser = argparse.ArgumentParser(prog="python -m bench.leak_costs", description=__doc__)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--objects", type=int, default=0, help="how many objects at least the collector knows of")
    parser.add_argument("--threads", type=int, default=0, help="how many other threads wait on an event")
    parser.add_argument("--cold", action="store_true", help="no first time that does not count")
    options = parser.parse_args()
    things = [Thing(number) for number in range(options.objects // 2)]  # each with its list
    event = threading.Event()
    parked = [threading.Thread(target=event.wait) for _ in range(options.threads)]
    for thread in parked:
        thread.start()
    until_parked(*parked[-1:])
    once = CASES[options.case]()
    if not options.cold:
        once()
    gc.collect()
    seconds = statistics.median(once() for _ in range(options.count))
    expect((len(gc.get_objects()) >= options.objects, len(things)), (True, options.objects // 2))
    expect(threading.active_count() > options.threads, True)
    print(seconds)


if __name__ == "__main__":
    code = 0
    try:
        main()
    except Exception:  # noqa: BLE001 - whoever started this process reads the last line and says what was wrong
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # neither for the threads nor for the one that leaked
