"""The async face of a channel: AnyIO's object streams on asyncio and trio, threads and tasks on one channel."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.abc
import pytest

from penstock.core.cancel import CancelScope, move_on_after
from penstock.core.channel import ReceiveChannel, SendChannel, channel, select
from penstock.errors import BrokenError, Cancelled, ClosedError, EndOfChannel, WouldBlock
from tests.core.tasks import result_of, until
from tests.core.threads import PATIENCE, start

pytestmark = pytest.mark.anyio

SIZES = pytest.mark.parametrize("size", [0, 1, 100], ids=lambda size: f"buffer{size}")


class FailedHalfWay(Exception):
    """What goes wrong on one side."""


def _waiting(end: SendChannel[Any] | ReceiveChannel[Any]) -> int:
    statistics = end.statistics()
    return statistics.tasks_waiting_receive + statistics.tasks_waiting_send


@SIZES
async def test_a_thread_feeds_a_task(size: int) -> None:
    """Items a thread sends a task receives, in order, to the end."""
    send, receive = channel(size)

    def produce() -> None:
        with send:
            for number in range(300):
                send.send(number)

    producing = start(produce)
    async with receive.aio as stream:
        assert [item async for item in stream] == list(range(300))
    await result_of(producing)


@SIZES
async def test_a_task_feeds_a_thread(size: int) -> None:
    """Items a task sends a thread receives."""
    send, receive = channel(size)
    receiving = start(list, receive)
    async with send.aio as stream:
        for number in range(300):
            await stream.send(number)
    assert await result_of(receiving) == list(range(300))
    receive.close()


@SIZES
async def test_a_task_feeds_a_task(size: int) -> None:
    """Both ends in one loop."""
    send, receive = channel(size)

    async def produce() -> None:
        async with send.aio as stream:
            for number in range(100):
                await stream.send(number)

    async with anyio.create_task_group() as group, receive.aio as stream:
        group.start_soon(produce)
        assert [item async for item in stream] == list(range(100))


@SIZES
async def test_threads_and_tasks_compete_for_items(size: int) -> None:
    """Two threads and two tasks on each side: every item arrives exactly once, and everybody ends."""
    send, receive = channel(size)
    received: list[tuple[int, int]] = []

    def send_some(end: SendChannel[Any], mark: int) -> None:
        with end:
            for number in range(50):
                end.send((mark, number))

    async def asend_some(end: SendChannel[Any], mark: int) -> None:
        async with end.aio as stream:
            for number in range(50):
                await stream.send((mark, number))

    def receive_some(end: ReceiveChannel[Any]) -> None:
        with end:
            received.extend(end)

    async def areceive_some(end: ReceiveChannel[Any]) -> None:
        async with end.aio as stream:
            async for item in stream:
                received.append(item)  # noqa: PERF401  one by one: tasks and threads take turns

    threads = [start(receive_some, receive.clone()) for _ in range(2)]
    threads += [start(send_some, send.clone(), mark) for mark in (1, 2)]
    async with anyio.create_task_group() as group:
        for mark in (3, 4):
            group.start_soon(asend_some, send.clone(), mark)
            group.start_soon(areceive_some, receive.clone())
        send.close()
        receive.close()
    for thread in threads:
        await result_of(thread)
    assert Counter(received) == Counter((mark, number) for mark in (1, 2, 3, 4) for number in range(50))


async def test_the_views_are_anyio_object_streams() -> None:
    """Isinstance says so."""
    send, receive = channel(1)
    with send, receive:
        assert isinstance(send.aio, anyio.abc.ObjectSendStream)
        assert isinstance(receive.aio, anyio.abc.ObjectReceiveStream)


async def test_the_errors_are_anyios_and_ours() -> None:
    """EndOfStream, BrokenResourceError, ClosedResourceError, WouldBlock: instances of both trees."""
    send, receive = channel(1)
    with pytest.raises(anyio.WouldBlock) as would_block:
        receive.aio.receive_nowait()
    assert isinstance(would_block.value, WouldBlock)
    await send.aio.aclose()
    with pytest.raises(anyio.EndOfStream) as ended:
        await receive.aio.receive()
    assert isinstance(ended.value, EndOfChannel)
    with pytest.raises(anyio.ClosedResourceError) as closed:
        await send.aio.send(1)
    assert isinstance(closed.value, ClosedError)
    receive.close()

    send, receive = channel(1)
    await receive.aio.aclose()
    with pytest.raises(anyio.BrokenResourceError) as broken:
        await send.aio.send(1)
    assert isinstance(broken.value, BrokenError)
    with pytest.raises(anyio.ClosedResourceError):
        await receive.aio.receive()
    send.close()


async def test_an_abort_arrives_as_the_same_object() -> None:
    """Both directions."""
    error = FailedHalfWay()
    send, receive = channel(1)
    send.abort(error)
    with pytest.raises(FailedHalfWay) as caught:
        await receive.aio.receive()
    assert caught.value is error
    receive.close()

    send, receive = channel(1)
    receive.abort(error)
    with pytest.raises(FailedHalfWay) as caught:
        await send.aio.send(1)
    assert caught.value is error
    send.close()


async def test_leaving_async_with_by_a_cancellation_is_not_an_end() -> None:
    """A cancelled producer task must not look like one that finished."""
    send, receive = channel(10)
    with anyio.CancelScope() as scope:
        async with send.aio as stream:
            await stream.send(1)
            scope.cancel()
            await anyio.sleep(PATIENCE)
    with pytest.raises(BrokenError):
        list(receive)
    receive.close()


@pytest.mark.parametrize("by", ["task", "thread"])
@pytest.mark.parametrize("how", ["own close", "peer close", "peer abort"])
@pytest.mark.parametrize("side", ["send", "receive"])
async def test_closing_wakes_a_parked_task(side: str, how: str, by: str) -> None:
    """Either end, closed by a task or by another thread, ends what a task waits for."""
    send, receive = channel()
    own, peer = (receive, send) if side == "receive" else (send, receive)
    error = FailedHalfWay()
    closings: dict[str, Callable[[], None]] = {
        "own close": own.close,
        "peer close": peer.close,
        "peer abort": lambda: peer.abort(error),
    }
    seen: list[BaseException] = []

    async def wait() -> None:
        try:
            await (receive.aio.receive() if side == "receive" else send.aio.send(1))
        except Exception as caught:
            seen.append(caught)

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await until(lambda: _waiting(send) == 1)
        if by == "task":
            closings[how]()
        else:
            await result_of(start(closings[how]))
    expected: type[BaseException] = anyio.ClosedResourceError
    if how == "peer abort":
        assert seen[0] is error
        expected = FailedHalfWay
    elif how == "peer close":
        expected = anyio.EndOfStream if side == "receive" else anyio.BrokenResourceError
    assert isinstance(seen[0], expected)
    send.close()
    receive.close()


async def test_a_receive_cancelled_in_the_tick_it_is_woken_loses_nothing() -> None:
    """An item handed to a task that is cancelled before it runs again goes to it or to the next, in order."""
    for size in (0, 10):
        for _ in range(20):
            send, receive = channel(size)
            got: list[int] = []
            scope = anyio.CancelScope()

            async def take(
                scope: anyio.CancelScope = scope, receive: ReceiveChannel[int] = receive, got: list[int] = got
            ) -> None:
                with scope:
                    got.append(await receive.aio.receive())

            async with anyio.create_task_group() as group:
                group.start_soon(take)
                await until(lambda: receive.statistics().tasks_waiting_receive == 1)  # noqa: B023
                send.send_nowait(1)  # wakes the task ...
                scope.cancel()  # ... which is cancelled before the loop can run it
            second = start(send.send, 2)
            rest = [receive.receive() for _ in range(2 - len(got))]
            await result_of(second)
            assert got + rest == [1, 2]
            send.close()
            receive.close()


async def test_a_receive_cancelled_when_woken_passes_the_item_to_a_parked_thread() -> None:
    """Somebody else who waits gets the item that came back."""
    send, receive = channel()
    scope = anyio.CancelScope()
    got: list[int] = []

    async def take() -> None:
        with scope:
            got.append(await receive.aio.receive())

    async with anyio.create_task_group() as group:
        group.start_soon(take)
        await until(lambda: receive.statistics().tasks_waiting_receive == 1)
        receiving = start(receive.receive)
        await until(lambda: receive.statistics().tasks_waiting_receive == 2)
        send.send_nowait(1)
        scope.cancel()
    if got:
        send.send_nowait(1)
    assert await result_of(receiving) == 1
    send.close()
    receive.close()


async def test_a_send_cancelled_in_the_tick_it_is_taken_is_not_sent_twice() -> None:
    """An item that was received does not come back when its send is cancelled late."""
    for _ in range(20):
        send, receive = channel()
        scope = anyio.CancelScope()

        async def give(scope: anyio.CancelScope = scope, send: SendChannel[int] = send) -> None:
            with scope:
                await send.aio.send(1)

        async with anyio.create_task_group() as group:
            group.start_soon(give)
            await until(lambda: send.statistics().tasks_waiting_send == 1)  # noqa: B023
            assert receive.receive_nowait() == 1
            scope.cancel()
        with pytest.raises(WouldBlock):
            receive.receive_nowait()
        send.close()
        receive.close()


async def test_cancelled_waits_leave_no_trace() -> None:
    """A send or receive cancelled by the loop is withdrawn."""
    send, receive = channel()
    with send, receive:
        with anyio.move_on_after(0.01):
            await send.aio.send(1)
        with anyio.move_on_after(0.01):
            await receive.aio.receive()
        assert _waiting(send) == 0


async def test_a_penstock_scope_wakes_a_task() -> None:
    """A penstock cancel from a thread and a penstock deadline end a task's wait."""
    send, receive = channel()
    for operation in (lambda: receive.aio.receive(), lambda: send.aio.send(1)):  # noqa: PLW0108
        scope = CancelScope()
        seen: list[object] = []

        async def wait(
            operation: Callable[[], Awaitable[object]] = operation,
            scope: CancelScope = scope,
            seen: list[object] = seen,
        ) -> None:
            with scope:
                try:
                    await operation()
                except Cancelled as error:
                    seen.append(error.reason)
                    raise

        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await until(lambda: _waiting(send) == 1)
            await result_of(start(scope.cancel, "stop"))
        assert seen == ["stop"]
        with move_on_after(0.01) as late:
            await operation()
        assert late.cancelled_caught
        assert _waiting(send) == 0
    send.close()
    receive.close()


async def test_select_in_a_thread_over_channels_fed_by_tasks() -> None:
    """Select waits in a thread for whatever task comes first."""
    pairs = [channel() for _ in range(2)]
    receivers = [receive for _, receive in pairs]
    selecting = start(select, *receivers)
    await until(lambda: _waiting(receivers[0]) == 1)
    await pairs[1][0].aio.send("second")
    assert await result_of(selecting) == (receivers[1], "second")
    for send, receive in pairs:
        send.close()
        receive.close()


def test_a_channel_outlives_its_event_loop(anyio_backend: str) -> None:
    """One channel may be used from one loop, then from another, then from none."""
    send, receive = channel(10)

    async def send_two() -> None:
        await send.aio.send(1)
        await send.aio.send(2)

    async def receive_one() -> int:
        return await receive.aio.receive()

    anyio.run(send_two, backend=anyio_backend)
    assert anyio.run(receive_one, backend=anyio_backend) == 1
    assert receive.receive() == 2
    send.close()
    receive.close()


def test_sending_after_the_waiting_loop_was_closed() -> None:
    """A task left behind in a closed loop: who sends to it neither fails nor hangs, and the item is not lost."""
    send, receive = channel(10)
    loop = asyncio.new_event_loop()
    task = loop.create_task(receive.aio.receive())
    while not _waiting(receive):
        loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    start(send.send, 1).result()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        task.get_coro().close()  # type: ignore[union-attr]
        del task
        gc.collect()
    assert receive.receive_nowait() == 1
    send.close()
    receive.close()
