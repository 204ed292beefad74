"""Objects from a thread to an asyncio task: the thread sends blockingly, the task awaits as many and adds them up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from bench.registry import MICROSECONDS_EACH, Bar, Contender, Row, Run, needs
from bench.threads import Ready, expect, run_together

Ends = tuple[Callable[[int], object], Callable[[], Awaitable[int]], Callable[[], Awaitable[object]]]
"""How the thread sends, how the task receives, and how the task closes what was made."""


def thread_to_task(make: Callable[[], Ends]) -> Run:
    """The ends are made inside the running loop, as janus wants it; the thread gets its own through ``handed_over``."""

    def run(count: int) -> float:
        handed_over: list[Callable[[int], object]] = []

        def produce(ready: Ready) -> None:
            ready()
            send = handed_over.pop()
            for item in range(count):
                send(item)

        async def consume(ready: Ready) -> None:
            send, receive, close = make()
            handed_over.append(send)
            ready()
            total = 0
            for _ in range(count):
                total += await receive()
            expect(total, count * (count - 1) // 2)
            await close()

        return run_together(produce, lambda ready: asyncio.run(consume(ready)))

    return run


def penstock_channel(size: int) -> Callable[[], Ends]:
    """``channel(size)``, sent to by a thread, received through ``.aio``."""

    def make() -> Ends:
        from penstock.core.channel import channel

        send, receive = channel(size)

        async def close() -> None:
            send.close()
            receive.close()

        return send.send, receive.aio.receive, close

    return make


def janus_queue(size: int) -> Callable[[], Ends]:
    """``janus.Queue(size)``."""

    def make() -> Ends:
        import janus

        return _two_faced(janus.Queue(size))

    return make


def culsans_queue(size: int) -> Callable[[], Ends]:
    """``culsans.Queue(size)``."""

    def make() -> Ends:
        import culsans

        return _two_faced(culsans.Queue(size))

    return make


def _two_faced(items: Any) -> Ends:
    """What janus and culsans have in common: one interface."""

    async def close() -> None:
        items.close()
        await items.wait_closed()

    return items.sync_q.put, items.async_q.get, close


ONE_BY_ONE = Row(
    name="thread-asyncio-1",
    title="items from a thread to an asyncio task, none or one may wait",
    unit=MICROSECONDS_EACH,
    count=4_000,
    quick_count=1_000,
    contenders=(
        Contender("channel(0)", thread_to_task(penstock_channel(0))),
        Contender("janus.Queue(1)", thread_to_task(janus_queue(1)), needs("janus")),
        Contender("channel(1)", thread_to_task(penstock_channel(1))),
        Contender("culsans.Queue(1)", thread_to_task(culsans_queue(1)), needs("culsans")),
    ),
    bars=(Bar("channel(0)", "<=", 0.5, "janus.Queue(1)"), Bar("channel(1)", "<=", 0.5, "janus.Queue(1)")),
)

BUFFERED = Row(
    name="thread-asyncio-1024",
    title="items from a thread to an asyncio task, 1024 may wait",
    unit=MICROSECONDS_EACH,
    count=20_000,
    quick_count=5_000,
    contenders=(
        Contender("channel(1024)", thread_to_task(penstock_channel(1024))),
        Contender("janus.Queue(1024)", thread_to_task(janus_queue(1024)), needs("janus")),
        Contender("culsans.Queue(1024)", thread_to_task(culsans_queue(1024)), needs("culsans")),
    ),
    bars=(Bar("channel(1024)", "<=", 0.5, "janus.Queue(1024)"),),
)

ROWS = (ONE_BY_ONE, BUFFERED)
