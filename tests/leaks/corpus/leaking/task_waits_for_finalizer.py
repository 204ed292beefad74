"""A task waits for an event that ``weakref.finalize`` sets when an object goes, which a module holds."""

import asyncio
import weakref

from tests.leaks.corpus import Expected
from tests.leaks.corpus.tasks import until_waiting

# Never proven: the module may drop the object. For the same reason it need not be reported.
LEAKS = [Expected(kind="task", name="mourner", function="wait_for_end", optional=True)]


class Session:
    """Something with an end."""


sessions: list[Session] = []


async def wait_for_end(ended: asyncio.Event) -> None:
    await ended.wait()


async def program() -> None:
    ended = asyncio.Event()
    sessions.append(Session())
    weakref.finalize(sessions[0], ended.set)
    mourner = asyncio.create_task(wait_for_end(ended), name="mourner")
    await until_waiting(mourner)
