"""The async face of a pipe: AnyIO's byte streams on asyncio and trio, thread to task and task to thread."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.abc
import pytest
import trio
import trio.testing

from penstock.core.cancel import CancelScope, move_on_after
from penstock.core.pipe import PipeReader, PipeWriter, pipe
from penstock.errors import BrokenError, Cancelled, ClosedError, EndOfChannel, PipeAbandoned
from tests.core.tasks import result_of, until
from tests.core.threads import PATIENCE, start, wait_until

pytestmark = pytest.mark.anyio

BUFFER_SIZES = pytest.mark.parametrize("buffer_size", [0, 7, 65536], ids=lambda size: f"buffer{size}")


class FailedHalfWay(Exception):
    """What goes wrong on one side."""


async def receive_all(reader: PipeReader, max_bytes: int = 65536) -> bytes:
    received = b""
    while True:
        try:
            received += await reader.aio.receive(max_bytes)
        except anyio.EndOfStream:
            return received


# --- thread to task, task to thread, task to task ---------------------------------------------------------------


@BUFFER_SIZES
async def test_a_thread_feeds_a_task(buffer_size: int) -> None:
    """What a thread writes a task receives, in order, to the end."""
    reader, writer = pipe(buffer_size)

    def produce() -> None:
        with writer:
            for number in range(300):
                writer.write(b"%d," % number)

    producing = start(produce)
    async with reader.aio:
        assert await receive_all(reader) == b"".join(b"%d," % number for number in range(300))
    await result_of(producing)


@BUFFER_SIZES
async def test_a_task_feeds_a_thread(buffer_size: int) -> None:
    """What a task sends a thread reads, in order, to the end."""
    reader, writer = pipe(buffer_size)
    reading = start(reader.read)
    async with writer.aio as stream:
        for number in range(300):
            await stream.send(b"%d," % number)
    assert await result_of(reading) == b"".join(b"%d," % number for number in range(300))
    reader.close()


@BUFFER_SIZES
async def test_a_task_feeds_a_task(buffer_size: int) -> None:
    """Both ends in one event loop."""
    reader, writer = pipe(buffer_size)

    async def produce() -> None:
        async with writer.aio as stream:
            for number in range(100):
                await stream.send(b"%d," % number)

    async with anyio.create_task_group() as group, reader.aio:
        group.start_soon(produce)
        assert await receive_all(reader, 3) == b"".join(b"%d," % number for number in range(100))


async def test_threads_and_tasks_on_both_ends_at_once() -> None:
    """Two threads and two tasks write, two of each read: every byte arrives once."""
    reader, writer = pipe(10)
    received: list[bytes] = []

    def write_some(mark: int) -> None:
        for _ in range(50):
            writer.write(bytes([mark]))

    async def send_some(mark: int) -> None:
        for _ in range(50):
            await writer.aio.send(bytes([mark]))

    def read_some() -> None:
        while data := reader.read1(3):
            received.append(data)

    async def receive_some() -> None:
        received.append(await receive_all(reader, 3))

    readings = [start(read_some) for _ in range(2)]
    async with anyio.create_task_group() as outer:
        outer.start_soon(receive_some)
        outer.start_soon(receive_some)
        writings = [start(write_some, mark) for mark in (1, 2)]
        async with anyio.create_task_group() as inner:
            inner.start_soon(send_some, 3)
            inner.start_soon(send_some, 4)
        for writing in writings:
            await result_of(writing)
        writer.close()
    for reading in readings:
        await result_of(reading)
    data = b"".join(received)
    assert [data.count(mark) for mark in (1, 2, 3, 4)] == [50] * 4
    reader.close()


# --- AnyIO's contract -------------------------------------------------------------------------------------------


async def test_the_views_are_anyio_byte_streams() -> None:
    """Isinstance says so, and the typed attributes are there."""
    with pipe() as (reader, writer):
        assert isinstance(reader.aio, anyio.abc.ByteReceiveStream)
        assert isinstance(writer.aio, anyio.abc.ByteSendStream)
        marker = object()
        assert reader.aio.extra(marker, None) is None
        assert dict(writer.aio.extra_attributes) == {}


async def test_receive_returns_at_most_max_bytes_and_at_least_one() -> None:
    """receive(n) is a read1: no filling, never empty; zero or less is a ValueError."""
    with pipe(10) as (reader, writer):
        writer.write(b"abcdef")
        assert await reader.aio.receive(4) == b"abcd"
        assert await reader.aio.receive(4) == b"ef"
        for max_bytes in (0, -1):
            with pytest.raises(ValueError, match="max_bytes"):
                await reader.aio.receive(max_bytes)


async def test_iteration_ends_at_the_end() -> None:
    """``async for`` gives chunks until the writer closes."""
    reader, writer = pipe(100)
    writer.write(b"abc")
    writer.close()
    async with reader.aio as stream:
        assert b"".join([chunk async for chunk in stream]) == b"abc"


async def test_the_end_is_anyios_end_of_stream_and_ours() -> None:
    """EndOfStream for AnyIO's users, EndOfChannel for ours, again and again."""
    reader, writer = pipe()
    writer.close()
    for _ in range(2):
        with pytest.raises(anyio.EndOfStream) as caught:
            await reader.aio.receive()
        assert isinstance(caught.value, EndOfChannel)
    reader.close()


async def test_a_send_to_a_closed_reader_is_anyios_broken_resource() -> None:
    """BrokenResourceError for AnyIO's users, BrokenError for ours."""
    reader, writer = pipe()
    await reader.aio.aclose()
    with pytest.raises(anyio.BrokenResourceError) as caught:
        await writer.aio.send(b"x")
    assert isinstance(caught.value, BrokenError)
    writer.close()


async def test_ones_own_closed_end_is_anyios_closed_resource() -> None:
    """ClosedResourceError for AnyIO's users, ClosedError for ours; aclose again is fine."""
    reader, writer = pipe()
    await reader.aio.aclose()
    await writer.aio.aclose()
    for operation in (lambda: reader.aio.receive(), lambda: writer.aio.send(b"x")):  # noqa: PLW0108
        with pytest.raises(anyio.ClosedResourceError) as caught:
            await operation()
        assert isinstance(caught.value, ClosedError)
    await reader.aio.aclose()
    await writer.aio.aclose()


async def test_an_abort_arrives_as_the_same_object() -> None:
    """The writer's exception, not wrapped, not an end; and the reader's at the sender."""
    reader, writer = pipe()
    error = FailedHalfWay()
    writer.abort(error)
    with pytest.raises(FailedHalfWay) as caught:
        await reader.aio.receive()
    assert caught.value is error
    reader.close()

    reader, writer = pipe()
    reader.abort(error)
    with pytest.raises(FailedHalfWay) as caught:
        await writer.aio.send(b"x")
    assert caught.value is error
    writer.close()


async def test_leaving_async_with_by_an_exception_aborts() -> None:
    """``async with writer.aio`` is as error-carrying as ``with writer``."""
    reader, writer = pipe(10)
    error = FailedHalfWay()
    with pytest.raises(FailedHalfWay):
        async with writer.aio as stream:
            await stream.send(b"half")
            raise error
    with pytest.raises(FailedHalfWay) as caught:
        reader.read()
    assert caught.value is error
    reader.close()


async def test_leaving_async_with_by_a_cancellation_is_not_an_end() -> None:
    """A cancelled producer task must not look like one that finished."""
    reader, writer = pipe(10)
    with anyio.CancelScope() as scope:
        async with writer.aio as stream:
            await stream.send(b"half")
            scope.cancel()
            await anyio.sleep(PATIENCE)
    with pytest.raises(BrokenError):
        reader.read()
    reader.close()


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_send_takes_any_buffer(kind: Callable[[bytes], Any]) -> None:
    """Not only bytes; a mutable one may be changed when send has returned."""
    item = kind(b"abcd")
    with pipe(10) as (reader, writer):
        await writer.aio.send(item)
        if isinstance(item, bytearray):
            item[:] = b"XXXX"
        assert reader.read(4) == b"abcd"


async def test_an_empty_send_is_invisible() -> None:
    """b"" neither waits nor shows up."""
    with pipe() as (reader, writer):
        await writer.aio.send(b"")
        writing = start(writer.write, b"x")
        assert await reader.aio.receive() == b"x"
        await result_of(writing)


async def test_a_view_does_not_close_or_keep_anything_by_itself() -> None:
    """A view is a view: dropping it does nothing, dropping the end aborts though a view was made."""
    reader, writer = pipe(10)
    view = writer.aio
    del view
    gc.collect()
    await writer.aio.send(b"x")
    assert await reader.aio.receive() == b"x"
    with pytest.warns(ResourceWarning):
        del writer
        gc.collect()
    with pytest.raises(PipeAbandoned):
        await reader.aio.receive()
    reader.close()


# --- blocking, waking, closing while parked ---------------------------------------------------------------------


async def test_a_rendezvous_send_waits_until_all_is_taken() -> None:
    """Send returns when a thread has read the last byte, and not before."""
    reader, writer = pipe()
    events: list[str] = []

    async def send() -> None:
        await writer.aio.send(b"abc")
        events.append("sent")

    async with anyio.create_task_group() as group:
        group.start_soon(send)
        await until(lambda: writer.statistics().writers_waiting == 1)
        assert reader.read(2) == b"ab"
        await anyio.lowlevel.checkpoint()
        assert not events
        assert reader.read(1) == b"c"
    assert events == ["sent"]
    reader.close()
    writer.close()


@pytest.mark.parametrize("by", ["task", "thread"])
@pytest.mark.parametrize("how", ["own close", "peer close", "peer abort"])
@pytest.mark.parametrize("side", ["reader", "writer"])
async def test_closing_wakes_a_parked_task(side: str, how: str, by: str) -> None:
    """Either end, closed by a task or by another thread, ends what a task waits for."""
    reader, writer = pipe()
    own, peer = (reader, writer) if side == "reader" else (writer, reader)
    error = FailedHalfWay()
    close: Callable[[], None] = {
        "own close": own.close,
        "peer close": peer.close,
        "peer abort": lambda: peer.abort(error),
    }[how]
    seen: list[BaseException] = []

    async def wait() -> None:
        try:
            await (reader.aio.receive() if side == "reader" else writer.aio.send(b"x"))
        except Exception as caught:
            seen.append(caught)

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await until(lambda: sum(_waiting(reader)) == 1)
        if by == "task":
            close()
        else:
            await result_of(start(close))
    expected: type[BaseException] = anyio.ClosedResourceError
    if how == "peer abort":
        assert seen[0] is error
        expected = FailedHalfWay
    elif how == "peer close":
        expected = anyio.EndOfStream if side == "reader" else anyio.BrokenResourceError
    assert isinstance(seen[0], expected)
    reader.close()
    writer.close()


def _waiting(end: PipeReader | PipeWriter) -> tuple[int, int]:
    statistics = end.statistics()
    return statistics.readers_waiting, statistics.writers_waiting


# --- cancellation: nothing is lost ------------------------------------------------------------------------------


async def test_a_cancelled_receive_leaves_the_next_bytes_to_the_next() -> None:
    """The loop's own cancellation withdraws the read."""
    with pipe() as (reader, writer):
        with anyio.move_on_after(0.01):
            await reader.aio.receive()
        assert _waiting(reader) == (0, 0)
        writing = start(writer.write, b"kept")
        assert await reader.aio.receive() == b"kept"
        await result_of(writing)


async def test_a_cancelled_send_is_withdrawn() -> None:
    """Nothing of a send cancelled before a read is ever read."""
    with pipe() as (reader, writer):
        with anyio.move_on_after(0.01):
            await writer.aio.send(b"never")
        assert _waiting(reader) == (0, 0)
        writing = start(writer.write, b"next")
        assert await reader.aio.receive() == b"next"
        await result_of(writing)


async def test_a_receive_cancelled_in_the_tick_it_is_woken_loses_nothing() -> None:
    """Bytes handed to a task that is cancelled before it runs again: received by it or by the next, never gone."""
    for _ in range(20):
        with pipe(100) as (reader, writer):
            got: list[bytes] = []
            scope = anyio.CancelScope()

            async def receive(
                scope: anyio.CancelScope = scope, reader: PipeReader = reader, got: list[bytes] = got
            ) -> None:
                with scope:
                    got.append(await reader.aio.receive())

            async with anyio.create_task_group() as group:
                group.start_soon(receive)
                await until(lambda: reader.statistics().readers_waiting == 1)
                writer.write(b"once")  # wakes the task ...
                scope.cancel()  # ... which is cancelled before the loop can run it
            writer.close()
            rest = reader.read()
            assert b"".join(got) + rest == b"once"


async def test_a_send_cancelled_in_the_tick_it_is_taken_is_not_sent_twice() -> None:
    """A send whose bytes were read, cancelled before it runs again, leaves nothing behind in the pipe."""
    for _ in range(20):
        with pipe() as (reader, writer):
            scope = anyio.CancelScope()

            async def send(scope: anyio.CancelScope = scope, writer: PipeWriter = writer) -> None:
                with scope:
                    await writer.aio.send(b"once")

            async with anyio.create_task_group() as group:
                group.start_soon(send)
                await until(lambda: writer.statistics().writers_waiting == 1)
                assert reader.read1(10) == b"once"
                scope.cancel()
            writer.close()
            assert reader.read() == b""


async def test_a_penstock_scope_wakes_a_task() -> None:
    """A penstock cancel from another thread ends a task's wait, with its reason, in both directions."""
    with pipe() as (reader, writer):
        for operation in (lambda: reader.aio.receive(), lambda: writer.aio.send(b"x")):  # noqa: PLW0108
            seen: list[Cancelled] = []
            scope = CancelScope()

            async def wait(
                operation: Callable[[], Awaitable[object]] = operation,
                scope: CancelScope = scope,
                seen: list[Cancelled] = seen,
            ) -> None:
                with scope:
                    try:
                        await operation()
                    except Cancelled as error:
                        seen.append(error)
                        raise

            async with anyio.create_task_group() as group:
                group.start_soon(wait)
                await until(lambda: sum(_waiting(reader)) == 1)
                await result_of(start(scope.cancel, "stop"))
            assert scope.cancelled_caught
            assert seen[0].reason == "stop"
            assert _waiting(reader) == (0, 0)


async def test_a_penstock_deadline_wakes_a_task() -> None:
    """So does a deadline, also one set later."""
    with pipe() as (reader, _):
        with move_on_after(0.02) as scope:
            await reader.aio.receive()
        assert scope.cancelled_caught


# --- event loops come and go ------------------------------------------------------------------------------------


def test_a_pipe_outlives_its_event_loop(anyio_backend: str) -> None:
    """One pipe may be used from one loop, then from another, then from none."""
    reader, writer = pipe(100)
    anyio.run(writer.aio.send, b"abc", backend=anyio_backend)
    assert anyio.run(reader.aio.receive, 2, backend=anyio_backend) == b"ab"
    assert reader.read(1) == b"c"
    reader.close()
    writer.close()


def test_closing_after_the_waiting_loop_was_closed() -> None:
    """A task left behind in a closed asyncio loop: the thread that wakes it neither fails nor hangs, and no byte is lost."""
    reader, writer = pipe(100)
    loop = asyncio.new_event_loop()
    task = loop.create_task(reader.aio.receive())
    loop.run_until_complete(asyncio.sleep(0))
    wait_until(lambda: _run_until(loop, lambda: reader.statistics().readers_waiting == 1))
    loop.close()
    assert start(writer.write, b"late").result() == 4
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        task.get_coro().close()  # type: ignore[union-attr]
        del task
        gc.collect()
    writer.close()
    assert reader.read() == b"late"
    reader.close()


def _run_until(loop: asyncio.AbstractEventLoop, condition: Callable[[], bool]) -> bool:
    loop.run_until_complete(asyncio.sleep(0))
    return condition()


def test_a_task_cancelled_by_asyncio_run_withdraws() -> None:
    """asyncio.run cancels what is left; the pipe is as if that task had never waited."""
    reader, writer = pipe()

    async def main() -> None:
        task = asyncio.create_task(reader.aio.receive())
        await until(lambda: reader.statistics().readers_waiting == 1)
        task.cancel()  # and is not awaited: asyncio.run sees to it

    asyncio.run(main())
    assert _waiting(reader) == (0, 0)
    reader.close()
    writer.close()


def test_without_an_event_loop_the_async_face_says_so() -> None:
    """Driving the coroutine by hand outside any loop is a clear error, not a hang."""
    with pipe() as (reader, _):
        coroutine = reader.aio.receive()
        with pytest.raises((RuntimeError, StopIteration)):
            for _ in range(3):
                coroutine.send(None)  # type: ignore[attr-defined]
        coroutine.close()  # type: ignore[attr-defined]


# --- trio's own conformance suite -------------------------------------------------------------------------------


class _OneAtATime:
    """Trio's streams refuse two callers at once; ours let them queue, so the adapter says no for them."""

    def __init__(self) -> None:
        self._busy = False

    def __enter__(self) -> None:
        if self._busy:
            raise trio.BusyResourceError("another task is using this stream")
        self._busy = True

    def __exit__(self, *exc_info: object) -> None:
        self._busy = False


class TrioSendStream(trio.abc.SendStream):
    """``PipeWriter.aio`` under trio's names."""

    def __init__(self, writer: PipeWriter) -> None:
        self.writer = writer
        self._guard = _OneAtATime()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        with self._guard:
            try:
                await self.writer.aio.send(data)
            except anyio.ClosedResourceError as error:
                raise trio.ClosedResourceError from error
            except anyio.BrokenResourceError as error:
                raise trio.BrokenResourceError from error

    async def wait_send_all_might_not_block(self) -> None:
        """An empty send finds out about closing; a rendezvous has no other answer to give."""
        await self.send_all(b"")

    async def aclose(self) -> None:
        await self.writer.aio.aclose()


class TrioReceiveStream(trio.abc.ReceiveStream):
    """``PipeReader.aio`` under trio's names."""

    def __init__(self, reader: PipeReader) -> None:
        self.reader = reader
        self._guard = _OneAtATime()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if max_bytes is not None and not isinstance(max_bytes, int):
            raise TypeError("max_bytes must be an int")
        with self._guard:
            try:
                return await self.reader.aio.receive(65536 if max_bytes is None else max_bytes)
            except anyio.EndOfStream:
                return b""
            except anyio.ClosedResourceError as error:
                raise trio.ClosedResourceError from error
            except anyio.BrokenResourceError as error:
                raise trio.BrokenResourceError from error

    async def aclose(self) -> None:
        await self.reader.aio.aclose()


@pytest.mark.parametrize("buffer_size", [0, 100])
def test_trio_check_one_way_stream(buffer_size: int) -> None:
    """trio.testing.check_one_way_stream: closing, cancelling, checkpoints, errors, randomized transfers."""

    async def make() -> tuple[TrioSendStream, TrioReceiveStream]:
        reader, writer = pipe(buffer_size)
        return TrioSendStream(writer), TrioReceiveStream(reader)

    async def make_clogged() -> tuple[TrioSendStream, TrioReceiveStream]:
        send, receive = await make()
        if buffer_size:
            send.writer.write(b"x" * buffer_size)
        return send, receive

    async def check() -> None:
        # The clogged variant asks wait_send_all_might_not_block to wait, which only a buffer can make true.
        await trio.testing.check_one_way_stream(make, None)
        send, receive = await make_clogged()
        async with send, receive:
            with trio.move_on_after(0.01) as scope:
                await send.send_all(b"does not fit")
            assert scope.cancelled_caught

    with warnings.catch_warnings():
        # The suite drops some streams on purpose once it has what it wants.
        warnings.simplefilter("ignore", ResourceWarning)
        trio.run(check)
        gc.collect()
