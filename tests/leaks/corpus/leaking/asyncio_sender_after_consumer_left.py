"""The consumer takes the first answer and returns; the producer waits for room for its second.

Ardan Labs' "forgotten sender", with tasks.
"""

import asyncio

from tests.leaks.corpus import Expected
from tests.leaks.corpus.tasks import until_waiting

LEAKS = [Expected(kind="task", proven=True, name="producer", function="produce", blocked_on="Queue")]


async def produce(answers: asyncio.Queue[int]) -> None:
    for number in range(10):
        await answers.put(number)


async def program() -> None:
    answers: asyncio.Queue[int] = asyncio.Queue(maxsize=1)
    producer = asyncio.create_task(produce(answers), name="producer")
    assert await answers.get() == 0
    await until_waiting(producer)
