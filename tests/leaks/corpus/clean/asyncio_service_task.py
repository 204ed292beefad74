"""A service's task waits for work at a queue that its module holds, as does the task itself."""

import asyncio

inbox: asyncio.Queue[int] = asyncio.Queue()
background_tasks: set[asyncio.Task[None]] = set()


async def work() -> None:
    while True:
        await inbox.get()


async def program() -> None:
    task = asyncio.create_task(work())
    background_tasks.add(task)
    await inbox.put(1)
    await asyncio.sleep(0)
