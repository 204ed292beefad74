"""A thread waits at a queue that only a sleeping task knows: the task will put something in when it wakes."""

import asyncio
import queue
import threading

from tests.leaks.corpus import Expected, until_parked
from tests.leaks.corpus.tasks import until_waiting

# Not proven: the timer will wake the task, and the task the thread.
LEAKS = [
    Expected(kind="thread", name="consumer", function="consume"),
    Expected(kind="task", name="producer", function="produce"),
]


async def produce(items: queue.Queue[int]) -> None:
    await asyncio.sleep(3600)
    items.put(1)


def consume(items: queue.Queue[int]) -> None:
    items.get()


async def program() -> None:
    items: queue.Queue[int] = queue.Queue()
    producer = asyncio.create_task(produce(items), name="producer")
    consumer = threading.Thread(target=consume, args=(items,), name="consumer", daemon=True)
    consumer.start()
    await asyncio.to_thread(until_parked, consumer)
    await until_waiting(producer)
