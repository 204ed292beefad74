"""Objects between two threads: one sends the integers 0..count-1, the other takes as many and adds them up."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any

from bench import go
from bench.registry import MICROSECONDS_EACH, Bar, Contender, Row, Run, needs
from bench.threads import Ready, expect, run_together

Ends = tuple[Callable[[int], object], Callable[[], int], Callable[[], None]]
"""How to send, how to receive, and how to close what was made."""


def thread_to_thread(make: Callable[[], Ends]) -> Run:
    """Both loops are the same for every contender; only the two calls in them differ."""

    def run(count: int) -> float:
        send, receive, close = make()

        def produce(ready: Ready) -> None:
            ready()
            for item in range(count):
                send(item)

        def consume(ready: Ready) -> None:
            ready()
            total = 0
            for _ in range(count):
                total += receive()
            expect(total, count * (count - 1) // 2)

        try:
            return run_together(produce, consume)
        finally:
            close()

    return run


def penstock_channel(size: int) -> Callable[[], Ends]:
    """``channel(size)``."""

    def make() -> Ends:
        from penstock.core.channel import channel

        send, receive = channel(size)

        def close() -> None:
            send.close()
            receive.close()

        return send.send, receive.receive, close

    return make


def standard_queue(made: Callable[[], Any]) -> Callable[[], Ends]:
    """A queue of the standard library; it has nothing to close."""

    def make() -> Ends:
        items = made()
        return items.put, items.get, lambda: None

    return make


def culsans_queue(size: int) -> Callable[[], Ends]:
    """The thread side of ``culsans.Queue(size)`` at both ends."""

    def make() -> Ends:
        import culsans

        items: culsans.Queue[int] = culsans.Queue(size)
        return items.sync_q.put, items.sync_q.get, items.close

    return make


def janus_queue(size: int) -> Callable[[], Ends]:
    """The thread side of ``janus.Queue(size)`` at both ends; no event loop takes part."""

    def make() -> Ends:
        import janus

        items: janus.Queue[int] = janus.Queue(size)
        return items.sync_q.put, items.sync_q.get, items.close

    return make


BUFFERED = Row(
    name="channel-1024",
    title="items between two threads, 1024 may wait",
    unit=MICROSECONDS_EACH,
    count=60_000,
    quick_count=12_000,
    contenders=(
        Contender("channel(1024)", thread_to_thread(penstock_channel(1024))),
        Contender("queue.Queue(1024)", thread_to_thread(standard_queue(lambda: queue.Queue(1024)))),
        Contender("SimpleQueue (unbounded)", thread_to_thread(standard_queue(queue.SimpleQueue))),
        Contender("culsans.Queue(1024)", thread_to_thread(culsans_queue(1024)), needs("culsans")),
        Contender("janus.Queue(1024)", thread_to_thread(janus_queue(1024)), needs("janus")),
        go.contender("Go chan int, 1024", "channel", size=1024),
    ),
    bars=(Bar("channel(1024)", "<=", 0.25, "queue.Queue(1024)"),),
)

RENDEZVOUS = Row(
    name="channel-0",
    title="items between two threads, handed over one by one",
    unit=MICROSECONDS_EACH,
    count=10_000,
    quick_count=2_000,
    contenders=(
        Contender("channel(0)", thread_to_thread(penstock_channel(0))),
        Contender("queue.Queue(1)", thread_to_thread(standard_queue(lambda: queue.Queue(1)))),
        Contender("channel(1)", thread_to_thread(penstock_channel(1))),
        Contender("culsans.Queue(1)", thread_to_thread(culsans_queue(1)), needs("culsans")),
        Contender("janus.Queue(1)", thread_to_thread(janus_queue(1)), needs("janus")),
        go.contender("Go chan int, unbuffered", "channel", size=0),
    ),
    bars=(Bar("channel(0)", "<=", 1.0, "queue.Queue(1)"),),
)

ROWS = (BUFFERED, RENDEZVOUS)
