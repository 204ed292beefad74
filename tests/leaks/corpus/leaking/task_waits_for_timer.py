"""A task waits for an event that a timer of the loop will set in an hour: late, but not stuck."""

import asyncio

from tests.leaks.corpus import Expected
from tests.leaks.corpus.tasks import until_waiting

# Not proven: the loop holds the timer, and the timer the event.
LEAKS = [Expected(kind="task", name="patient", function="wait_for_hour")]


async def wait_for_hour(struck: asyncio.Event) -> None:
    await struck.wait()


async def program() -> None:
    struck = asyncio.Event()
    asyncio.get_running_loop().call_later(3600, struck.set)
    task = asyncio.create_task(wait_for_hour(struck), name="patient")
    await until_waiting(task)
