"""A lock is taken without ``async with``, and an error leaves the function before the release.

GoKer's "missing unlock", with an asyncio lock.
"""

import asyncio
import contextlib

from tests.leaks.corpus import Expected
from tests.leaks.corpus.tasks import until_waiting

LEAKS = [Expected(kind="task", proven=True, name="second", function="update", blocked_on="Lock")]


async def update(lock: asyncio.Lock, amount: int) -> None:
    await lock.acquire()
    if amount < 0:
        raise ValueError(amount)
    lock.release()


async def program() -> None:
    lock = asyncio.Lock()
    with contextlib.suppress(ValueError):
        await update(lock, -1)
    second = asyncio.create_task(update(lock, 1), name="second")
    await until_waiting(second)
