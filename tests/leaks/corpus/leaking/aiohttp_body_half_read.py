"""``await session.get()`` without ``async with``: the first bytes are enough, and nobody releases the response."""

import aiohttp

from tests.leaks.corpus import Expected
from tests.leaks.corpus.http_service import start_http_service

REQUIRES = ("aiohttp",)
LEAKS = [
    Expected(kind="response", fix="release"),
    Expected(kind="socket", optional=True),
]

sessions: list[aiohttp.ClientSession] = []
previews: list[aiohttp.ClientResponse] = []
urls: list[str] = []


async def prepare() -> None:
    urls.append(start_http_service())
    sessions.append(aiohttp.ClientSession())


async def program() -> None:
    previews.append(await sessions[0].get(urls[0]))
    assert len(await previews[0].content.readexactly(10)) == 10
