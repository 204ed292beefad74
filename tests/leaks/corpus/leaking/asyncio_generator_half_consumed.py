"""A listing is read up to its first page and then kept, open, in case somebody asks for the next one."""

import asyncio
from collections.abc import AsyncGenerator

from tests.leaks.corpus import Expected

LEAKS = [Expected(kind="generator", function="pages", fix="aclos")]

listings: dict[str, AsyncGenerator[int]] = {}


async def pages() -> AsyncGenerator[int]:
    for number in range(10):
        await asyncio.sleep(0)
        yield number


async def program() -> None:
    listing = listings["session-1"] = pages()
    async for _page in listing:
        break
