"""The task that should say "ready" fails first, and the one that waits for it is not told."""

import asyncio
import contextlib

from tests.leaks.corpus import Expected
from tests.leaks.corpus.tasks import until_waiting

LEAKS = [Expected(kind="task", proven=True, name="greeter", function="greet", blocked_on="Event")]


async def greet(ready: asyncio.Event) -> None:
    await ready.wait()


async def set_up(ready: asyncio.Event, settings: dict[str, str]) -> None:
    settings["port"]
    ready.set()


async def program() -> None:
    ready = asyncio.Event()
    greeter = asyncio.create_task(greet(ready), name="greeter")
    with contextlib.suppress(KeyError):
        await set_up(ready, {})
    await until_waiting(greeter)
