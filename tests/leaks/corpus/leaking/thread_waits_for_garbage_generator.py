"""A thread waits at a queue into which an asynchronous generator puts something on its way out.

The generator was left half-way and is garbage, in a cycle with itself. When the collector comes, asyncio closes it.
"""

import asyncio
import queue
import threading
from collections.abc import AsyncGenerator

from tests.leaks.corpus import Expected, until_parked

# Never proven: the end of the generator will wake the thread. That may happen while the detector looks.
LEAKS = [
    Expected(kind="thread", name="consumer", function="consume", optional=True),
    Expected(kind="generator", function="produce", optional=True),
    Expected(kind="task", optional=True),  # in which asyncio closes the generator
]


async def produce(items: queue.Queue[int], itself: list[AsyncGenerator[int]]) -> AsyncGenerator[int]:
    try:
        yield 1
    finally:
        items.put(len(itself))


def consume(items: queue.Queue[int]) -> None:
    items.get()


async def program() -> None:
    items: queue.Queue[int] = queue.Queue()
    itself: list[AsyncGenerator[int]] = []
    itself.append(produce(items, itself))
    await anext(itself[0])
    consumer = threading.Thread(target=consume, args=(items,), name="consumer", daemon=True)
    consumer.start()
    await asyncio.to_thread(until_parked, consumer)
