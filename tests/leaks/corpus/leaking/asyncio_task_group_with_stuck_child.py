"""A task group waits for its children, as it should, and one of them waits for a lock that was never released."""

import asyncio

from tests.leaks.corpus import Expected
from tests.leaks.corpus.tasks import until_waiting

LEAKS = [
    Expected(kind="task", proven=True, name="parent", function="fan_out"),
    Expected(kind="task", proven=True, name="child", function="update", blocked_on="Lock"),
]


async def update(lock: asyncio.Lock) -> None:
    async with lock:
        pass


async def fan_out(lock: asyncio.Lock) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(update(lock), name="child")


async def program() -> None:
    lock = asyncio.Lock()
    await lock.acquire()
    parent = asyncio.create_task(fan_out(lock), name="parent")
    await until_waiting(parent)
