"""A thread is given a loop of its own for one call, and the loop is never stopped."""

import asyncio
import threading

from tests.leaks.corpus import Expected, until_parked

# Not proven: a loop waits for descriptors, and anybody may write to a number.
LEAKS = [
    Expected(kind="thread", name="loop", function="run_forever"),
    Expected(kind="fd", optional=True),  # the loop's selector, and the sockets it is woken by
    *[Expected(kind="socket", optional=True)] * 2,
]


async def answer() -> int:
    return 1


def program() -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="loop", daemon=True)
    thread.start()
    assert asyncio.run_coroutine_threadsafe(answer(), loop).result(10) == 1
    until_parked(thread)
