"""An open session keeps its connection for the next request; the body was read."""

import aiohttp

from tests.leaks.corpus.http_service import start_http_service

REQUIRES = ("aiohttp",)

sessions: list[aiohttp.ClientSession] = []
urls: list[str] = []


async def prepare() -> None:
    urls.append(start_http_service(1000))


async def program() -> None:
    sessions.append(aiohttp.ClientSession())
    async with sessions[0].get(urls[0]) as answer:
        assert len(await answer.read()) == 1000
