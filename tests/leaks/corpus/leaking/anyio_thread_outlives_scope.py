"""A scope abandons its worker thread at the deadline, and the thread waits at its queue for ever.

``abandon_on_cancel`` warns of it: the thread "will still continue to run".
"""

import queue

import anyio
import anyio.from_thread
import anyio.to_thread

from tests.leaks.corpus import Expected

REQUIRES = ("anyio",)
LEAKS = [Expected(kind="thread", proven=True, function="ask", blocked_on="queue.Queue.get")]
SCOPES: list[anyio.CancelScope] = []


def ask(answers: queue.Queue[str]) -> str:
    anyio.from_thread.run_sync(SCOPES.pop().cancel)  # the deadline, which comes when this thread is there
    return answers.get()


async def program() -> None:
    with anyio.CancelScope() as scope:
        SCOPES.append(scope)
        await anyio.to_thread.run_sync(ask, queue.Queue(), abandon_on_cancel=True)
