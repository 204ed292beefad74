"""An asynchronous generator is left early and dropped: asyncio closes it in a task of its own, in a moment."""

import asyncio
from collections.abc import AsyncGenerator


async def rows() -> AsyncGenerator[int]:
    try:
        for number in range(3):
            yield number
    finally:
        await asyncio.sleep(0.01)


async def program() -> None:
    async for _number in rows():
        break
