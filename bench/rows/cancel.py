"""From a cancel or a passed deadline until 100 parked threads are gone: woken, unwound and joined."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from bench.registry import MILLISECONDS_EACH, Bar, Contender, Row, Run, repeated
from bench.threads import expect

THREADS = 100
SETTLE_SECONDS = 0.05
"""From "about to park" to surely parked. Nothing depends on it being enough: a thread that comes late is woken too."""

Park = Callable[[], object]
Parking = Callable[[], AbstractContextManager[Park]]


@contextmanager
def in_receive() -> Iterator[Park]:
    """All wait on one channel nobody sends to."""
    from penstock.core.channel import channel

    sender, receiver = channel(0)
    with sender, receiver:
        yield receiver.receive


@contextmanager
def in_read() -> Iterator[Park]:
    """Each waits on a pipe of its own that nobody writes to."""
    from penstock.core.pipe import PipeReader, pipe

    pairs = [pipe() for _ in range(THREADS)]
    readers = queue.SimpleQueue[PipeReader]()
    with ExitStack() as stack:
        for reader, _writer in map(stack.enter_context, pairs):
            readers.put(reader)
        yield lambda: readers.get().read1(1)


@contextmanager
def in_sleep() -> Iterator[Park]:
    """Each sleeps for an hour."""
    from penstock.core.cancel import sleep

    yield lambda: sleep(3600)


def cancelled(parking: Parking) -> Run:
    """Seconds from ``cancel()`` until the ``with`` block of the group has been left."""

    def once() -> float:
        from penstock.core.taskgroup import TaskGroup

        arrived = threading.Semaphore(0)
        threads_before = threading.active_count()
        with parking() as park:
            with TaskGroup() as group:
                for _ in range(THREADS):
                    group.start_soon(_arrive_and_park, arrived, park)
                _until_parked(arrived)
                cancelled_at = time.perf_counter()
                group.cancel_scope.cancel()
            seconds = time.perf_counter() - cancelled_at
        expect(threading.active_count(), threads_before)
        return seconds

    return repeated(once)


def deadline_passed(parking: Parking) -> Run:
    """Seconds from the deadline of a scope around the group until that scope has been left."""

    def once() -> float:
        from penstock.core.cancel import move_on_after
        from penstock.core.taskgroup import TaskGroup

        arrived = threading.Semaphore(0)
        threads_before = threading.active_count()
        with parking() as park:
            with move_on_after(0.3) as scope, TaskGroup() as group:
                for _ in range(THREADS):
                    group.start_soon(_arrive_and_park, arrived, park)
            seconds = time.monotonic() - scope.deadline
        expect((scope.cancelled_caught, threading.active_count()), (True, threads_before))
        return seconds

    return repeated(once)


def set_event() -> float:
    """The floor: threads that wait on one Event, which is set, and are joined."""
    arrived, event = threading.Semaphore(0), threading.Event()
    threads = [threading.Thread(target=_arrive_and_park, args=(arrived, event.wait)) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    _until_parked(arrived)
    started_at = time.perf_counter()
    event.set()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started_at


def _arrive_and_park(arrived: threading.Semaphore, park: Park) -> None:
    arrived.release()
    park()


def _until_parked(arrived: threading.Semaphore) -> None:
    for _ in range(THREADS):
        arrived.acquire()
    time.sleep(SETTLE_SECONDS)


CANCEL = Row(
    name="cancel-100",
    title="cancel or deadline to all of 100 parked threads gone",
    unit=MILLISECONDS_EACH,
    count=3,
    quick_count=1,
    contenders=(
        Contender("cancel: in channel receive", cancelled(in_receive)),
        Contender("cancel: in pipe read1", cancelled(in_read)),
        Contender("cancel: in sleep", cancelled(in_sleep)),
        Contender("deadline: in sleep", deadline_passed(in_sleep)),
        Contender("deadline: in channel receive", deadline_passed(in_receive)),
        Contender("floor: threading.Event set, joined", repeated(set_event)),
    ),
    bars=(
        Bar("cancel: in channel receive", "<=", 250),
        Bar("cancel: in pipe read1", "<=", 250),
        Bar("cancel: in sleep", "<=", 250),
        Bar("deadline: in sleep", "<=", 250),
        Bar("deadline: in channel receive", "<=", 250),
    ),
)

ROWS = (CANCEL,)
