"""A scope abandons its worker thread at the deadline, and the thread waits at its queue for ever.

``abandon_on_cancel`` warns of it: the thread "will still continue to run".
"""

import queue

import anyio
import anyio.to_thread

from tests.leaks.corpus import Expected

REQUIRES = ("anyio",)
LEAKS = [Expected(kind="thread", proven=True, function="ask", blocked_on="queue.Queue.get")]


def ask(answers: queue.Queue[str]) -> str:
    return answers.get()


async def program() -> None:
    with anyio.move_on_after(0.05):
        await anyio.to_thread.run_sync(ask, queue.Queue(), abandon_on_cancel=True)
