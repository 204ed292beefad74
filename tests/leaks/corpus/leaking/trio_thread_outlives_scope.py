"""A scope abandons its worker thread at the deadline, and the thread waits at its queue for ever."""

import queue

import trio

from tests.leaks.corpus import Expected

LOOP = "trio"
REQUIRES = ("trio",)
LEAKS = [Expected(kind="thread", proven=True, function="ask", blocked_on="queue.Queue.get")]


def ask(answers: queue.Queue[str]) -> str:
    return answers.get()


async def program() -> None:
    with trio.move_on_after(0.05):
        await trio.to_thread.run_sync(ask, queue.Queue(), abandon_on_cancel=True)
