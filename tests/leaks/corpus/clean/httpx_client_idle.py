"""A module's client keeps its connection for the next request; the bodies were read or closed."""

import httpx

from tests.leaks.corpus.http_service import start_http_service

REQUIRES = ("httpx",)

client = httpx.Client(verify=False)  # nothing here is encrypted, and reading certificates takes long
answers: list[httpx.Response] = []
urls: list[str] = []


def prepare() -> None:
    urls.append(start_http_service(1000))


def program() -> None:
    with client.stream("GET", urls[0]) as answer:
        answers.append(answer)
    answers.append(client.get(urls[0]))
