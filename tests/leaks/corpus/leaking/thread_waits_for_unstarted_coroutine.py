"""A thread waits at a queue that a coroutine will fill, once somebody awaits it; a module's list holds the coroutine."""

import queue
import threading
from collections.abc import Coroutine

from tests.leaks.corpus import Expected, until_parked

# Never proven: the list can be found. For the same reason it need not be reported.
LEAKS = [Expected(kind="thread", name="consumer", function="consume", optional=True)]

planned: list[Coroutine[None, None, None]] = []


async def produce(items: queue.Queue[int]) -> None:
    items.put(1)


def consume(items: queue.Queue[int]) -> None:
    items.get()


def program() -> None:
    items: queue.Queue[int] = queue.Queue()
    planned.append(produce(items))
    consumer = threading.Thread(target=consume, args=(items,), name="consumer", daemon=True)
    consumer.start()
    until_parked(consumer)


def cleanup() -> None:
    planned[0].close()
