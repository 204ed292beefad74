"""A timeout ends the wait for a shielded task, but not the task.

The behaviour the documentation of ``asyncio.shield`` describes; the Go twin is a goroutine behind ``select`` with
``time.After``, which nobody tells that its answer is no longer wanted.
"""

import asyncio
import contextlib

from tests.leaks.corpus import Expected
from tests.leaks.corpus.tasks import until_waiting

LEAKS = [Expected(kind="task", proven=True, name="writer", function="commit", blocked_on="Future")]


async def commit(acknowledged: asyncio.Future[None]) -> None:
    await acknowledged


async def program() -> None:
    acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    writer = asyncio.create_task(commit(acknowledged), name="writer")
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(writer), timeout=0.01)
    await until_waiting(writer)
