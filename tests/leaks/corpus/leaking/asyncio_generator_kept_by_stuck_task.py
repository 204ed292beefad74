"""A task takes one item of an asynchronous generator and then waits for a permission that never comes."""

import asyncio
from collections.abc import AsyncGenerator

from tests.leaks.corpus import Expected
from tests.leaks.corpus.tasks import until_waiting

LEAKS = [
    Expected(kind="task", proven=True, name="copier", function="copy", blocked_on="Semaphore"),
    Expected(kind="generator", function="rows"),
]


async def rows() -> AsyncGenerator[int]:
    for number in range(10):
        await asyncio.sleep(0)
        yield number


async def copy(permission: asyncio.Semaphore) -> None:
    source = rows()
    await anext(source)
    await permission.acquire()
    await source.aclose()


async def program() -> None:
    copier = asyncio.create_task(copy(asyncio.Semaphore(0)), name="copier")
    await until_waiting(copier)
