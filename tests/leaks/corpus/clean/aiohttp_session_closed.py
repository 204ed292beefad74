"""A session is closed with its connections; one body was read, one released unread."""

import aiohttp

from tests.leaks.corpus.http_service import start_http_service

REQUIRES = ("aiohttp",)

answers: list[aiohttp.ClientResponse] = []
urls: list[str] = []


async def prepare() -> None:
    urls.append(start_http_service())


async def program() -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(urls[0]) as answer:
            answers.append(answer)
        async with session.get(urls[0]) as answer:
            answers.append(answer)
            await answer.read()
