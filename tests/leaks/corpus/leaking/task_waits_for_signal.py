"""A task waits for an event that a signal handler of the loop sets."""

import asyncio
import signal

from tests.leaks.corpus import Expected
from tests.leaks.corpus.tasks import until_waiting

# Not proven: the loop holds the handler, and the handler the event.
LEAKS = [Expected(kind="task", name="reload", function="reload_when_told")]


async def reload_when_told(told: asyncio.Event) -> None:
    await told.wait()


async def program() -> None:
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, told.set)
    task = asyncio.create_task(reload_when_told(told), name="reload")
    await until_waiting(task)
