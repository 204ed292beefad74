"""Every public wait of the core, under a cancel and under a deadline: it wakes promptly and changes nothing.

The contract says 50 ms; a test that must not fail on a busy machine allows ten times that, and records what it
measured as the property ``seconds``.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress

import pytest

from penstock import sleep
from penstock.core.cancel import CancelScope, check_cancelled, fail_after
from penstock.core.pipe import PipeWriter, pipe
from penstock.errors import Cancelled, DeadlineExceeded
from tests.core.stalling import a_server_that_stalls
from tests.core.threads import PATIENCE, PROMPT, Running, start, wait_until

HOUR = 3600.0
Wait = Callable[[], object]
WAITS: dict[str, Callable[[], AbstractContextManager[Wait]]] = {}


def wait(function: Callable[[], Iterator[Wait]]) -> Callable[[], Iterator[Wait]]:
    """Add a wait to the table: a context manager that gives a call which would block for ever."""
    WAITS[function.__name__] = contextmanager(function)
    return function


@wait
def sleeping() -> Iterator[Wait]:
    yield lambda: sleep(HOUR)


@wait
def pipe_read() -> Iterator[Wait]:
    with pipe() as (reader, _):
        yield lambda: reader.read(10)


@wait
def pipe_read_half_way() -> Iterator[Wait]:
    with pipe(10) as (reader, writer):
        writer.write(b"half")
        yield lambda: reader.read(10)


@wait
def pipe_read1() -> Iterator[Wait]:
    with pipe() as (reader, _):
        yield lambda: reader.read1(10)


@wait
def pipe_readinto() -> Iterator[Wait]:
    with pipe() as (reader, _):
        yield lambda: reader.readinto(bytearray(10))


@wait
def pipe_readline() -> Iterator[Wait]:
    with pipe() as (reader, _):
        yield reader.readline


@wait
def pipe_write() -> Iterator[Wait]:
    with pipe() as (_, writer):
        yield lambda: writer.write(b"x")


@wait
def pipe_write_queued_behind_another() -> Iterator[Wait]:
    with pipe() as (reader, writer):
        first = start(writer.write, b"first")
        wait_until(lambda: writer.statistics().writers_waiting == 1)
        yield lambda: writer.write(b"x")
        assert reader.read(5) == b"first"
        first.result()


@wait
def pipe_buffered_write() -> Iterator[Wait]:
    with pipe(10) as (_, writer):
        writer.write(b"0123456789")
        yield lambda: writer.write(b"x")


@wait
def channel_send() -> Iterator[Wait]:
    from penstock.core.channel import channel

    send, receive = channel(0)
    with send, receive:
        yield lambda: send.send(1)


@wait
def channel_buffered_send() -> Iterator[Wait]:
    from penstock.core.channel import channel

    send, receive = channel(1)
    with send, receive:
        send.send(1)
        yield lambda: send.send(2)


@wait
def channel_receive() -> Iterator[Wait]:
    from penstock.core.channel import channel

    send, receive = channel(0)
    with send, receive:
        yield receive.receive


@wait
def channel_iteration() -> Iterator[Wait]:
    from penstock.core.channel import channel

    send, receive = channel(0)
    with send, receive:
        yield lambda: next(iter(receive))


@wait
def channel_select() -> Iterator[Wait]:
    from penstock.core.channel import channel, select

    with ExitStack() as ends:
        pairs = [channel(0) for _ in range(3)]
        for pair in pairs:
            ends.enter_context(pair[0])
            ends.enter_context(pair[1])
        yield lambda: select(*(pair[1] for pair in pairs))


@wait
def taskgroup_join() -> Iterator[Wait]:
    from penstock.core.taskgroup import TaskGroup

    def join() -> None:
        with TaskGroup() as group:
            group.start_soon(sleep, HOUR)

    yield join


@wait
def taskgroup_body() -> Iterator[Wait]:
    from penstock.core.taskgroup import TaskGroup

    def join() -> None:
        with TaskGroup() as group:
            group.start_soon(sleep, HOUR)
            sleep(HOUR)

    yield join


@wait
def taskgroup_child_result() -> Iterator[Wait]:
    from penstock.core.taskgroup import TaskGroup

    def join() -> None:
        with TaskGroup() as group:
            group.start_soon(sleep, HOUR).result()

    yield join


@contextmanager
def a_busy_pool(max_pending: int = 0) -> Iterator[object]:
    from penstock.core.pool import WorkerPool

    release = threading.Event()
    with WorkerPool(1, max_pending=max_pending) as pool:
        for _ in range(1 + max_pending):
            pool.submit(release.wait, PATIENCE)
        try:
            yield pool
        finally:
            release.set()


@wait
def pool_submit() -> Iterator[Wait]:
    with a_busy_pool() as pool:
        yield lambda: pool.submit(int)  # type: ignore[attr-defined]


@wait
def pool_submit_with_pending_jobs() -> Iterator[Wait]:
    with a_busy_pool(max_pending=2) as pool:
        yield lambda: pool.submit(int)  # type: ignore[attr-defined]


@wait
def pool_wait() -> Iterator[Wait]:
    with a_busy_pool() as pool:
        yield pool.wait  # type: ignore[attr-defined]


@wait
def pool_future_result() -> Iterator[Wait]:
    from penstock.core.pool import WorkerPool

    release = threading.Event()
    with WorkerPool(1) as pool:
        future = pool.submit(release.wait, PATIENCE)
        try:
            yield future.result
        finally:
            release.set()


@wait
def pool_future_exception() -> Iterator[Wait]:
    from penstock.core.pool import WorkerPool

    release = threading.Event()
    with WorkerPool(1) as pool:
        future = pool.submit(release.wait, PATIENCE)
        try:
            yield future.exception
        finally:
            release.set()


@wait
def pool_map() -> Iterator[Wait]:
    from penstock.core.pool import WorkerPool

    release = threading.Event()
    with WorkerPool(2) as pool:
        try:
            yield lambda: list(pool.map(lambda _: release.wait(PATIENCE), range(4)))
        finally:
            release.set()


@wait
def pool_leaving_the_block() -> Iterator[Wait]:
    from penstock.core.pool import WorkerPool

    def leave() -> None:
        with WorkerPool(2) as pool:
            pool.submit(sleep, HOUR)

    yield leave


@wait
def gathering() -> Iterator[Wait]:
    from penstock.core.gather import gather

    yield lambda: gather(lambda: sleep(HOUR), lambda: sleep(HOUR))


@wait
def gathering_with_a_limit() -> Iterator[Wait]:
    from penstock.core.gather import gather

    yield lambda: gather(*[lambda: sleep(HOUR)] * 3, limit=1)


@wait
def budget_acquire() -> Iterator[Wait]:
    from penstock.core.budget import Budget

    budget = Budget(10)
    budget.acquire(10)
    yield lambda: budget.acquire(1)
    budget.release(10)


@wait
def draining_a_body() -> Iterator[Wait]:
    urllib3 = pytest.importorskip("urllib3", reason="urllib3 is not installed")
    from penstock.core.closing import draining

    def drain() -> None:
        with draining(urllib3_pool.request("GET", url, preload_content=False), timeout=HOUR):
            pass

    with a_server_that_stalls() as url, urllib3.PoolManager() as urllib3_pool:
        yield drain


@wait
def reading_from_a_producer() -> Iterator[Wait]:
    from penstock.core.pipe import reading_from

    def read() -> None:
        with reading_from(lambda writer: sleep(HOUR)) as reader:
            reader.read()

    yield read


@wait
def writing_to_a_consumer() -> Iterator[Wait]:
    from penstock.core.pipe import writing_to

    def write() -> None:
        with writing_to(lambda reader: sleep(HOUR)) as handle:
            handle.writer.write(b"x")

    yield write


@wait
def waiting_for_a_consumer_to_finish() -> Iterator[Wait]:
    from penstock.core.pipe import writing_to

    def write() -> None:
        with writing_to(lambda reader: (reader.read(), sleep(HOUR))) as handle:
            handle.writer.write(b"x")

    yield write


EVERY_WAIT = pytest.mark.parametrize("name", list(WAITS))


def run_under(scope: CancelScope, blocking: Wait) -> float:
    with scope:
        blocking()
        raise AssertionError("the wait ended by itself")
    return time.monotonic()


@EVERY_WAIT
def test_every_wait_wakes_on_cancel(name: str, record_property: Callable[[str, object], None]) -> None:
    """A cancel from another thread ends the wait within 50 ms, and the scope has caught it."""
    with WAITS[name]() as blocking:
        scope = CancelScope()
        running = start(run_under, scope, blocking)
        running.wait_parked()
        cancelled_at = time.monotonic()
        scope.cancel()
        seconds = running.result() - cancelled_at
        record_property("seconds", seconds)
        assert scope.cancelled_caught
        assert seconds < PROMPT


@EVERY_WAIT
def test_every_wait_wakes_on_a_deadline(name: str, record_property: Callable[[str, object], None]) -> None:
    """A deadline of a surrounding scope ends the wait within 50 ms of its time."""
    with WAITS[name]() as blocking:
        scope = fail_after(0.1)

        def fail_in_time() -> float:
            with pytest.raises(DeadlineExceeded):
                run_under(scope, blocking)
            return time.monotonic()

        seconds = start(fail_in_time).result() - scope.deadline
        record_property("seconds", seconds)
        assert scope.cancelled_caught
        assert 0 <= seconds < PROMPT


@EVERY_WAIT
def test_every_wait_wakes_when_a_deadline_is_set_later(name: str) -> None:
    """Giving the scope a deadline while the wait is parked under it is enough."""
    with WAITS[name]() as blocking:
        scope = CancelScope()
        running = start(run_under, scope, blocking)
        running.wait_parked()
        scope.deadline = time.monotonic() + 0.02
        assert running.result() - scope.deadline < PROMPT
        assert scope.cancelled_caught


@EVERY_WAIT
def test_no_wait_begins_in_a_cancelled_scope(name: str) -> None:
    """Where a cancel came first, the call raises Cancelled instead of waiting."""
    with WAITS[name]() as blocking:
        scope = CancelScope()
        scope.cancel()
        start(run_under, scope, blocking).result()
        assert scope.cancelled_caught


def cancelled_while_parked(blocking: Wait) -> Running[None]:
    """Run ``blocking`` in a scope, cancel it while it is parked; the thread ends with the Cancelled it saw."""
    scope = CancelScope()

    def work() -> None:
        with scope:
            try:
                blocking()
            except Cancelled as error:
                seen.append(error)
                raise

    seen: list[BaseException] = []
    running = start(work)
    running.wait_parked()
    scope.cancel()
    running.result()
    running._error = seen[0]
    return running


# --- a cancelled operation completed or changed nothing ----------------------------------------------------------


def test_a_cancelled_write_is_withdrawn() -> None:
    """Nothing of a cancelled write is ever read, and its Cancelled says that none was."""
    with pipe() as (reader, writer):
        cancelled = cancelled_while_parked(lambda: writer.write(b"never"))
        assert cancelled.error(Cancelled).characters_written == 0  # type: ignore[attr-defined]
        assert writer.statistics().writers_waiting == 0
        writing = start(writer.write, b"next")
        assert reader.read1(100) == b"next"
        writing.result()


def test_a_cancelled_write_reports_what_was_taken() -> None:
    """A write cancelled half-way says how many bytes the reader has, in ``characters_written``."""
    with pipe() as (reader, writer):
        scope, seen = CancelScope(), list[int]()

        def work() -> None:
            with scope:
                try:
                    writer.write(b"0123456789")
                except Cancelled as error:
                    seen.append(error.characters_written)  # type: ignore[attr-defined]
                    raise

        running = start(work)
        assert reader.read(4) == b"0123"
        running.wait_parked()
        scope.cancel()
        running.result()
        assert seen == [4]
        writing = start(writer.write, b"next")
        assert reader.read1(100) == b"next"
        writing.result()


def test_a_cancelled_buffered_write_adds_nothing() -> None:
    """A write that did not fit and was cancelled leaves the buffer as the reader knows it."""
    with pipe(4) as (reader, writer):
        writer.write(b"abcd")
        cancelled = cancelled_while_parked(lambda: writer.write(b"efgh"))
        assert cancelled.error(Cancelled).characters_written == 0  # type: ignore[attr-defined]
        assert reader.read(4) == b"abcd"
        writer.write(b"ij")
        assert reader.read(2) == b"ij"


def test_a_cancelled_read_takes_nothing() -> None:
    """The bytes that come after go to the next read."""
    with pipe() as (reader, writer):
        cancelled_while_parked(lambda: reader.read1(10))
        assert reader.statistics().readers_waiting == 0
        writing = start(writer.write, b"for the next")
        assert reader.read1(100) == b"for the next"
        writing.result()


def test_a_cancelled_fill_loses_nothing() -> None:
    """Bytes a cancelled read(n) had already collected are still read by the next one."""
    with pipe() as (reader, writer):
        scope = CancelScope()
        running = start(run_under, scope, lambda: reader.read(10))
        writer.write(b"0123")
        running.wait_parked()
        scope.cancel()
        running.result()
        reading = start(reader.read, 6)
        writer.write(b"45")
        assert reading.result() == b"012345"


def test_a_cancelled_readline_loses_nothing() -> None:
    """Bytes of an unfinished line are still there after a cancelled readline."""
    with pipe() as (reader, writer):
        scope = CancelScope()
        running = start(run_under, scope, reader.readline)
        writer.write(b"half a ")
        running.wait_parked()
        scope.cancel()
        running.result()
        reading = start(reader.readline)
        writer.write(b"line\n")
        assert reading.result() == b"half a line\n"


def test_cancel_against_ack_is_one_or_the_other() -> None:
    """Cancel and read race for a write: it is taken and returns, or it is withdrawn and raises. Never both, never lost."""
    for _ in range(100):
        with pipe() as (reader, writer):
            scope, barrier, results = CancelScope(), threading.Barrier(2), list[int]()
            writing = start(_write_once, writer, scope, results)
            wait_until(lambda: writer.statistics().writers_waiting == 1)
            cancelling = start(_cancel_at, barrier, scope)
            barrier.wait(PATIENCE)
            taken = b""
            with CancelScope(timeout=0.02):
                taken = reader.read1(4)
            writing.result()
            cancelling.result()
            assert (taken, results) in ((b"once", [4]), (b"", []))


def _write_once(writer: PipeWriter, scope: CancelScope, results: list[int]) -> None:
    with scope:
        results.append(writer.write(b"once"))


def _cancel_at(barrier: threading.Barrier, scope: CancelScope) -> None:
    barrier.wait(PATIENCE)
    scope.cancel()


def test_a_deadline_in_the_past_raises_at_once_but_ready_work_may_finish() -> None:
    """An operation under a passed deadline either completes at once or raises; it does not wait."""
    with pipe(10) as (reader, writer):
        writer.write(b"ready")
        began = time.monotonic()
        with suppress(DeadlineExceeded), fail_after(0):
            reader.read(5)
            reader.read(5)
        assert time.monotonic() - began < PROMPT


# --- scopes reach into the threads penstock starts ---------------------------------------------------------------


def test_taskgroup_children_inherit_the_scope() -> None:
    """A cancel of a scope around the group is felt in its children, with its reason."""
    from penstock.core.taskgroup import TaskGroup

    seen: list[object] = []

    def child() -> None:
        try:
            sleep(HOUR)
        except Cancelled as error:
            seen.append(error.reason)
            raise

    def work() -> None:
        with scope, TaskGroup() as group:
            group.start_soon(child)

    scope = CancelScope()
    running = start(work)
    running.wait_parked()
    scope.cancel("all out")
    running.result()
    assert seen == ["all out"]


def test_pool_jobs_inherit_the_scope_of_their_submit() -> None:
    """A cancel of the submitter's scope is felt in the job, and not in the jobs of others."""
    from penstock.core.pool import WorkerPool

    with WorkerPool(2) as pool:
        with CancelScope() as scope:
            mine = pool.submit(sleep, HOUR)
        others = pool.submit(sleep, 0.05)
        scope.cancel("mine only")
        with pytest.raises((Cancelled, Exception)) as caught:
            mine.result()
        assert "Cancelled" in type(caught.value).__name__
        others.result()


def test_scopes_do_not_leak_into_plain_threads_or_after_the_block() -> None:
    """A plain thread starts without a scope; and when a block is left, its scope no longer applies here."""
    with CancelScope() as scope:
        scope.cancel()
        start(check_cancelled).result()
    check_cancelled()


def test_a_socket_that_blocks_is_interrupted_by_on_cancel() -> None:
    """The documented use: shut a socket down to wake a foreign recv."""
    from penstock.core.cancel import on_cancel

    ours, theirs = socket.socketpair()
    with ours, theirs:
        scope, began = CancelScope(), threading.Event()

        def work() -> None:
            with scope, on_cancel(lambda: ours.shutdown(socket.SHUT_RDWR)):
                began.set()
                assert ours.recv(1) == b""
                check_cancelled()

        running = start(work)
        assert began.wait(PATIENCE)
        scope.cancel()
        running.result(patience=PROMPT)
        assert scope.cancelled_caught
