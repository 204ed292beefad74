"""``send(stream=True)`` instead of ``with stream()``: the caller looks at the status and forgets the body."""

import httpx

from tests.leaks.corpus import Expected
from tests.leaks.corpus.http_service import start_http_service

REQUIRES = ("httpx",)
LEAKS = [
    Expected(kind="response", fix="close"),
    Expected(kind="socket", optional=True),
]

client = httpx.Client(verify=False)  # nothing here is encrypted, and reading certificates takes long
answers: list[httpx.Response] = []
urls: list[str] = []


def prepare() -> None:
    urls.append(start_http_service())


def program() -> None:
    answers.append(client.send(client.build_request("GET", urls[0]), stream=True))
    assert answers[0].status_code == 200
