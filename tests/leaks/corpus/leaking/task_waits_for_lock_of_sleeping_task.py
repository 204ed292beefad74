"""A task waits for a lock that another holds while it sleeps for an hour: the lock will be released."""

import asyncio

from tests.leaks.corpus import Expected
from tests.leaks.corpus.tasks import until_waiting

# Not proven: the timer will wake the one, and its release the other.
LEAKS = [
    Expected(kind="task", name="slow", function="update"),
    Expected(kind="task", name="next", function="update"),
]


async def update(lock: asyncio.Lock) -> None:
    async with lock:
        await asyncio.sleep(3600)


async def program() -> None:
    lock = asyncio.Lock()
    slow = asyncio.create_task(update(lock), name="slow")
    following = asyncio.create_task(update(lock), name="next")
    await until_waiting(slow, following)
