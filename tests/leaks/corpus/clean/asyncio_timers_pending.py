"""Timers of an event loop are callbacks, not tasks: nothing waits."""

import asyncio


async def program() -> None:
    loop = asyncio.get_running_loop()
    loop.call_later(3600, print, "an hour has passed")
    loop.call_at(loop.time() + 7200, print, "two hours have passed")
