"""One asynchronous generator is read to its end, one left early is closed, one never begins."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

kept: list[AsyncGenerator[int]] = []


async def rows() -> AsyncGenerator[int]:
    for number in range(3):
        await asyncio.sleep(0)
        yield number


async def program() -> None:
    kept.append(rows())
    assert [number async for number in kept[0]] == [0, 1, 2]
    kept.append(rows())
    async with contextlib.aclosing(kept[1]) as some:
        await anext(some)
    kept.append(rows())
