"""Between two tasks of one event loop: the async faces beside what lives in a single loop. For information, no bars.

The peers here never have to expect another thread, so being near them is already the wish.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from bench.registry import MICROSECONDS_EACH, Contender, Row, Run, gigabytes_per_second, needs
from bench.threads import expect

CHUNK_BYTES = 64 * 1024

Send = Callable[[Any], Awaitable[object]]
Receive = Callable[[], Awaitable[Any]]
Make = Callable[[], Any]
"""Gives an async context manager for the two calls ``(send, receive)``; leaving it closes both ends."""


def on_asyncio(make: Make, *, chunk_bytes: int = 0) -> Run:
    """Producer and consumer as two asyncio tasks."""
    return lambda count: asyncio.run(_asyncio_pair(make, _Work(count, chunk_bytes)))


def on_trio(make: Make, *, chunk_bytes: int = 0) -> Run:
    """Producer and consumer as two trio tasks."""

    def run(count: int) -> float:
        import trio

        return trio.run(_trio_pair, make, _Work(count, chunk_bytes))

    return run


class _Work:
    """What both loops do: send ``count`` items (integers, or chunks of bytes), and check that all of it came."""

    def __init__(self, count: int, chunk_bytes: int) -> None:
        self.count = count
        self.payload = b"p" * chunk_bytes

    async def produce(self, send: Send) -> None:
        payload = self.payload
        for item in range(self.count):
            await send(payload or item)

    async def consume(self, receive: Receive) -> None:
        total, wanted = 0, self.count * (self.count - 1) // 2
        if not self.payload:
            for _ in range(self.count):
                total += await receive()
        else:
            wanted = self.count * len(self.payload)
            while total < wanted:
                total += len(await receive())
        expect(total, wanted)


async def _asyncio_pair(make: Make, work: _Work) -> float:
    async with make() as (send, receive):
        started_at = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            group.create_task(work.produce(send))
            group.create_task(work.consume(receive))
        return time.perf_counter() - started_at


async def _trio_pair(make: Make, work: _Work) -> float:
    import trio

    async with make() as (send, receive):
        started_at = time.perf_counter()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(work.produce, send)
            nursery.start_soon(work.consume, receive)
        return time.perf_counter() - started_at


def penstock_channel(size: int) -> Make:
    """Both async faces of ``channel(size)``."""

    @asynccontextmanager
    async def make() -> AsyncIterator[tuple[Send, Receive]]:
        from penstock.core.channel import channel

        send, receive = channel(size)
        with send, receive:
            yield send.aio.send, receive.aio.receive

    return make


def penstock_pipe() -> Make:
    """Both async faces of ``pipe()``."""

    @asynccontextmanager
    async def make() -> AsyncIterator[tuple[Send, Receive]]:
        from penstock.core.pipe import pipe

        with pipe() as (reader, writer):
            receive = reader.aio.receive
            yield writer.aio.send, lambda: receive(CHUNK_BYTES)

    return make


def asyncio_queue(size: int) -> Make:
    """``asyncio.Queue(size)``."""

    @asynccontextmanager
    async def make() -> AsyncIterator[tuple[Send, Receive]]:
        items: asyncio.Queue[int] = asyncio.Queue(size)
        yield items.put, items.get

    return make


def anyio_stream(size: int) -> Make:
    """``anyio.create_memory_object_stream(size)``."""

    @asynccontextmanager
    async def make() -> AsyncIterator[tuple[Send, Receive]]:
        import anyio

        send, receive = anyio.create_memory_object_stream[Any](size)
        async with send, receive:
            yield send.send, receive.receive

    return make


def trio_channel(size: int) -> Make:
    """``trio.open_memory_channel(size)``."""

    @asynccontextmanager
    async def make() -> AsyncIterator[tuple[Send, Receive]]:
        import trio

        send, receive = trio.open_memory_channel[Any](size)
        async with send, receive:
            yield send.send, receive.receive

    return make


def trio_lockstep() -> Make:
    """``trio.testing.lockstep_stream_one_way_pair``: the nearest thing to ``io.Pipe`` in trio, made for tests."""

    @asynccontextmanager
    async def make() -> AsyncIterator[tuple[Send, Receive]]:
        import trio.testing

        send, receive = trio.testing.lockstep_stream_one_way_pair()
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(send)
            await stack.enter_async_context(receive)
            yield send.send_all, lambda: receive.receive_some(CHUNK_BYTES)

    return make


def _items(name: str, title: str, size: int, asyncio_size: int, count: int) -> Row:
    return Row(
        name=name,
        title=title,
        unit=MICROSECONDS_EACH,
        count=count,
        quick_count=count // 4,
        contenders=(
            Contender(f"channel({size}).aio on asyncio", on_asyncio(penstock_channel(size))),
            Contender(f"anyio memory stream({size}) on asyncio", on_asyncio(anyio_stream(size)), needs("anyio")),
            Contender(f"asyncio.Queue({asyncio_size})", on_asyncio(asyncio_queue(asyncio_size))),
            Contender(f"channel({size}).aio on trio", on_trio(penstock_channel(size)), needs("trio")),
            Contender(f"trio memory channel({size})", on_trio(trio_channel(size)), needs("trio")),
        ),
    )


ROWS = (
    _items("task-0", "items between two tasks of one loop, handed over one by one", 0, 1, 10_000),
    _items("task-1024", "items between two tasks of one loop, 1024 may wait", 1024, 1024, 20_000),
    Row(
        name="task-64k",
        title="64 KiB chunks between two tasks of one loop",
        unit=gigabytes_per_second(CHUNK_BYTES),
        count=3_000,
        quick_count=600,
        contenders=(
            Contender("pipe().aio on asyncio", on_asyncio(penstock_pipe(), chunk_bytes=CHUNK_BYTES)),
            Contender("pipe().aio on trio", on_trio(penstock_pipe(), chunk_bytes=CHUNK_BYTES), needs("trio")),
            Contender("trio lockstep stream", on_trio(trio_lockstep(), chunk_bytes=CHUNK_BYTES), needs("trio")),
        ),
    ),
)
