"""A thread waits for the result of a coroutine on a loop that was stopped and closed meanwhile.

``asyncio.run_coroutine_threadsafe(...).result()`` without a timeout: nothing fails the future when its loop closes.
"""

import asyncio
import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(kind="thread", proven=True, name="caller", function="call", blocked_on="Future"),
    Expected(kind="task", proven=True, function="answer", optional=True),  # only the thread can reach it
]


async def answer(asked: asyncio.Event) -> None:
    asked.set()
    await asyncio.Event().wait()


def call(loop: asyncio.AbstractEventLoop, asked: asyncio.Event) -> None:
    asyncio.run_coroutine_threadsafe(answer(asked), loop).result()


def program() -> None:
    loop, asked = asyncio.new_event_loop(), asyncio.Event()
    caller = threading.Thread(target=call, args=(loop, asked), name="caller", daemon=True)
    caller.start()
    loop.run_until_complete(asked.wait())
    until_parked(caller)
    loop.close()
