"""A barrier for three, and the third party was cancelled before it came."""

import asyncio

from tests.leaks.corpus import Expected
from tests.leaks.corpus.tasks import until_waiting

LEAKS = [Expected(kind="task", proven=True, name="party-*", function="meet", blocked_on="Barrier")] * 2


async def meet(barrier: asyncio.Barrier) -> None:
    await barrier.wait()


async def program() -> None:
    barrier = asyncio.Barrier(3)
    parties = [asyncio.create_task(meet(barrier), name=f"party-{number}") for number in range(3)]
    parties.pop().cancel()
    await until_waiting(*parties)
