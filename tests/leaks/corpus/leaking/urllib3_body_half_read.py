"""The head of a large body is enough for the caller, who keeps the response: its connection is lost to the pool.

As in Go, where an unread ``resp.Body`` keeps its connection and two goroutines.
"""

import urllib3

from tests.leaks.corpus import Expected
from tests.leaks.corpus.http_service import start_http_service

REQUIRES = ("urllib3",)
LEAKS = [
    Expected(kind="response", fix="release_conn"),
    Expected(kind="socket", optional=True),
]

http = urllib3.PoolManager()
previews: list[urllib3.BaseHTTPResponse] = []
urls: list[str] = []


def prepare() -> None:
    urls.append(start_http_service())


def program() -> None:
    previews.append(http.request("GET", urls[0], preload_content=False))
    assert len(previews[0].read(10)) == 10
