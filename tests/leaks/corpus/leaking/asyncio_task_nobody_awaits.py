"""A task is started on the way and forgotten: it sleeps for hours after its caller has returned."""

import asyncio

from tests.leaks.corpus import Expected
from tests.leaks.corpus.tasks import until_waiting

# Not proven: its timer will wake it.
LEAKS = [Expected(kind="task", name="refresh", function="refresh")]


async def refresh() -> None:
    await asyncio.sleep(3600)


async def program() -> None:
    task = asyncio.create_task(refresh(), name="refresh")
    await until_waiting(task)
