"""A worker forgets ``task_done`` for the items it skips, and whoever joins the queue waits for ever."""

import asyncio

from tests.leaks.corpus import Expected
from tests.leaks.corpus.tasks import until_waiting

LEAKS = [Expected(kind="task", proven=True, name="owner", function="finish", blocked_on="Queue")]


async def finish(inbox: asyncio.Queue[int]) -> None:
    await inbox.join()


async def program() -> None:
    inbox: asyncio.Queue[int] = asyncio.Queue()
    for number in range(3):
        inbox.put_nowait(number)
    while not inbox.empty():
        if inbox.get_nowait() != 1:
            inbox.task_done()
    owner = asyncio.create_task(finish(inbox), name="owner")
    await until_waiting(owner)
