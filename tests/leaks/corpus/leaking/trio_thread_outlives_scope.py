"""A scope abandons its worker thread at the deadline, and the thread waits at its queue for ever."""

import queue
from collections.abc import Callable

import trio

from tests.leaks.corpus import Expected

LOOP = "trio"
REQUIRES = ("trio",)
LEAKS = [Expected(kind="thread", proven=True, function="ask", blocked_on="queue.Queue.get")]


def ask(answers: queue.Queue[str], expire: Callable[[], None]) -> str:
    trio.from_thread.run_sync(expire)  # only now: a deadline that passes before there is a thread starts none
    return answers.get()


async def program() -> None:
    with trio.CancelScope() as scope:

        def expire() -> None:
            scope.deadline = trio.current_time()

        await trio.to_thread.run_sync(ask, queue.Queue(), expire, abandon_on_cancel=True)
