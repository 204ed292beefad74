"""Two jobs return early with the only two permits, and the third waits for one."""

import asyncio

from tests.leaks.corpus import Expected
from tests.leaks.corpus.tasks import until_waiting

LEAKS = [Expected(kind="task", proven=True, name="third", function="fetch", blocked_on="Semaphore")]


async def fetch(permits: asyncio.Semaphore, *, cached: bool) -> None:
    await permits.acquire()
    if cached:
        return
    permits.release()


async def program() -> None:
    permits = asyncio.Semaphore(2)
    for _ in range(2):
        await fetch(permits, cached=True)
    third = asyncio.create_task(fetch(permits, cached=False), name="third")
    await until_waiting(third)
