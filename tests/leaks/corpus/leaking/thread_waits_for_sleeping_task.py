"""A thread waits for the result of a coroutine that sleeps for an hour on a living loop."""

import asyncio
import threading

from tests.leaks.corpus import Expected

# Not proven: the timer will wake the task, and the task's result the thread.
LEAKS = [
    Expected(kind="thread", name="caller", function="call"),
    Expected(kind="task", function="answer"),
]


async def answer(asked: asyncio.Event) -> None:
    asked.set()
    await asyncio.sleep(3600)


def call(loop: asyncio.AbstractEventLoop, asked: asyncio.Event) -> None:
    asyncio.run_coroutine_threadsafe(answer(asked), loop).result()


async def program() -> None:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    threading.Thread(target=call, args=(loop, asked), name="caller", daemon=True).start()
    await asked.wait()
