"""A module holds a loop that a daemon thread runs, for all who have no loop of their own.

The synchronous faces of asynchronous libraries are built so, fsspec's for one.
"""

import asyncio
import threading

from tests.leaks.corpus import until_parked

loops: list[asyncio.AbstractEventLoop] = []


async def answer() -> int:
    return await asyncio.sleep(0, 1)


def program() -> None:
    loop = asyncio.new_event_loop()
    loops.append(loop)
    thread = threading.Thread(target=loop.run_forever, name="loop", daemon=True)
    thread.start()
    assert asyncio.run_coroutine_threadsafe(answer(), loop).result(10) == 1
    until_parked(thread)
