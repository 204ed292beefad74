"""A thread waits at a queue that only a stuck task knows, and the task puts something in on its way out.

Nobody holds the task: once the collector gets to it, its ``finally`` runs and the thread wakes.
"""

import asyncio
import queue
import threading

from tests.leaks.corpus import Expected, until_parked
from tests.leaks.corpus.tasks import until_waiting

# The thread is not proven, for the garbage will wake it. The task is: what its own end does cannot make it go on.
LEAKS = [
    Expected(kind="thread", name="consumer", function="consume"),
    Expected(kind="task", proven=True, name="producer", function="produce"),
]


async def produce(items: queue.Queue[int], allowed: asyncio.Event) -> None:
    try:
        await allowed.wait()
    finally:
        items.put(1)


def consume(items: queue.Queue[int]) -> None:
    items.get()


async def program() -> None:
    items: queue.Queue[int] = queue.Queue()
    producer = asyncio.create_task(produce(items, asyncio.Event()), name="producer")
    consumer = threading.Thread(target=consume, args=(items,), name="consumer", daemon=True)
    consumer.start()
    await asyncio.to_thread(until_parked, consumer)
    await until_waiting(producer)
