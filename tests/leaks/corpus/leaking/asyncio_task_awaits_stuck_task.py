"""One task waits for an event nobody sets, and another waits for that task."""

import asyncio

from tests.leaks.corpus import Expected
from tests.leaks.corpus.tasks import until_waiting

LEAKS = [
    Expected(kind="task", proven=True, name="inner", function="wait_for_event", blocked_on="Event"),
    Expected(kind="task", proven=True, name="outer", function="wait_for_task"),
]


async def wait_for_event(event: asyncio.Event) -> None:
    await event.wait()


async def wait_for_task(task: "asyncio.Task[None]") -> None:
    await task


async def program() -> None:
    inner = asyncio.create_task(wait_for_event(asyncio.Event()), name="inner")
    outer = asyncio.create_task(wait_for_task(inner), name="outer")
    await until_waiting(inner, outer)
