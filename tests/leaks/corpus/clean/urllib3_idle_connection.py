"""A ``PoolManager`` keeps the connection of a body that was read to its end, for the next request."""

import urllib3

from tests.leaks.corpus.http_service import start_http_service

REQUIRES = ("urllib3",)

http = urllib3.PoolManager()
answers: list[urllib3.BaseHTTPResponse] = []
urls: list[str] = []


def prepare() -> None:
    urls.append(start_http_service(1000))


def program() -> None:
    answers.append(http.request("GET", urls[0], preload_content=False))
    with answers[0]:
        answers[0].read(10)
    answers.append(http.request("GET", urls[0], preload_content=False))
    answers[1].drain_conn()
    answers.append(http.request("GET", urls[0]))
