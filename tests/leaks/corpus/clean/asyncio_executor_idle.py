"""The worker threads of ``asyncio.to_thread`` stay with their loop and wait for the next call."""

import asyncio


async def program() -> None:
    assert await asyncio.to_thread(abs, -1) == 1
    assert await asyncio.get_running_loop().run_in_executor(None, abs, -2) == 2
