"""Two tasks wait for an event nobody sets, but under a timeout of an hour, which will end the wait."""

import asyncio

from tests.leaks.corpus import Expected
from tests.leaks.corpus.tasks import until_waiting

# Not proven: the loop holds the timers, and they cancel the waits.
LEAKS = [
    Expected(kind="task", name="scope", function="wait_in_scope"),
    Expected(kind="task", name="call", function="wait_in_call"),
    Expected(kind="task", optional=True),  # before 3.12 wait_for() starts a task of its own
]


async def wait_in_scope() -> None:
    async with asyncio.timeout(3600):
        await asyncio.Event().wait()


async def wait_in_call() -> None:
    await asyncio.wait_for(asyncio.Event().wait(), timeout=3600)


async def program() -> None:
    scope = asyncio.create_task(wait_in_scope(), name="scope")
    call = asyncio.create_task(wait_in_call(), name="call")
    await until_waiting(scope, call)
