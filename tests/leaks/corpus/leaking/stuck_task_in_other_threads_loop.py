"""A job is handed to the loop of a background thread and waits there, unseen, for an event nobody sets."""

import asyncio
import threading

from tests.leaks.corpus import Expected
from tests.leaks.corpus.tasks import until_waiting

LEAKS = [Expected(kind="task", proven=True, name="job", function="wait_for_turn", blocked_on="Event")]

loop = asyncio.new_event_loop()


def prepare() -> None:
    threading.Thread(target=loop.run_forever, name="loop", daemon=True).start()


async def wait_for_turn(turn: asyncio.Event) -> None:
    await turn.wait()


async def start_job() -> None:
    job = asyncio.create_task(wait_for_turn(asyncio.Event()), name="job")
    await until_waiting(job)


def program() -> None:
    asyncio.run_coroutine_threadsafe(start_job(), loop).result(10)
