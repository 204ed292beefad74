"""The producer returns without a last word, and the consumer waits at the asyncio queue for ever.

Ardan Labs' "abandoned receivers", with tasks.
"""

import asyncio

from tests.leaks.corpus import Expected
from tests.leaks.corpus.tasks import until_waiting

LEAKS = [Expected(kind="task", proven=True, name="consumer", function="consume", blocked_on="Queue")]


async def consume(inbox: asyncio.Queue[int | None]) -> None:
    while await inbox.get() is not None:
        inbox.task_done()


async def program() -> None:
    inbox: asyncio.Queue[int | None] = asyncio.Queue()
    consumer = asyncio.create_task(consume(inbox), name="consumer")
    for number in range(3):
        await inbox.put(number)
    await inbox.join()
    await until_waiting(consumer)
