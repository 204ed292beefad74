"""A download hands on its first block, and waits for room for the second after its consumer has returned.

Ardan Labs' "forgotten sender", holding a connection.
"""

import queue
import threading

import requests

from tests.leaks.corpus import Expected, until_parked
from tests.leaks.corpus.http_service import start_http_service

REQUIRES = ("requests",)
LEAKS = [
    Expected(kind="thread", proven=True, name="download", function="download", blocked_on="queue.Queue.put"),
    Expected(kind="response", fix="close"),
    Expected(kind="socket", optional=True),
]

urls: list[str] = []


def download(blocks: queue.Queue[bytes]) -> None:
    with requests.get(urls[0], stream=True, timeout=10) as response:
        for block in response.iter_content(65536):
            blocks.put(block)


def prepare() -> None:
    urls.append(start_http_service())


def program() -> None:
    blocks: queue.Queue[bytes] = queue.Queue(maxsize=1)
    thread = threading.Thread(target=download, args=(blocks,), name="download", daemon=True)
    thread.start()
    blocks.get()
    until_parked(thread)
