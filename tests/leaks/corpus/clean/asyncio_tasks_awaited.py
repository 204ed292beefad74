"""Every task has an owner that awaits it: a group, a queue that is joined, a cancel that is waited for."""

import asyncio
import contextlib


async def work(inbox: asyncio.Queue[int]) -> None:
    while True:
        await inbox.get()
        inbox.task_done()


async def program() -> None:
    inbox: asyncio.Queue[int] = asyncio.Queue(maxsize=1)
    worker = asyncio.create_task(work(inbox))
    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(inbox.put(number))
    await inbox.join()
    worker.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await worker
