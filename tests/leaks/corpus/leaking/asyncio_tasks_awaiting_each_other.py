"""Two tasks, each of which wants to hear from the other before it speaks."""

import asyncio

from tests.leaks.corpus import Expected
from tests.leaks.corpus.tasks import until_waiting

LEAKS = [
    Expected(kind="task", proven=True, name="left", function="talk", blocked_on="Queue"),
    Expected(kind="task", proven=True, name="right", function="talk", blocked_on="Queue"),
]


async def talk(hear: asyncio.Queue[str], speak: asyncio.Queue[str]) -> None:
    await speak.put(f"you said {await hear.get()}")


async def program() -> None:
    to_left: asyncio.Queue[str] = asyncio.Queue()
    to_right: asyncio.Queue[str] = asyncio.Queue()
    left = asyncio.create_task(talk(to_left, to_right), name="left")
    right = asyncio.create_task(talk(to_right, to_left), name="right")
    await until_waiting(left, right)
