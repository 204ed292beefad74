"""A timeout ends the wait for ``asyncio.to_thread``, but threads cannot be cancelled: it waits at its queue for ever."""

import asyncio
import contextlib
import queue

from tests.leaks.corpus import Expected

LEAKS = [Expected(kind="thread", proven=True, name="asyncio_*", function="ask", blocked_on="queue.Queue.get")]


def ask(answers: queue.Queue[str]) -> str:
    return answers.get()


async def program() -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.to_thread(ask, queue.Queue()), timeout=0.05)
