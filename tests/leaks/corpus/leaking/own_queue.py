"""The only one who puts into the queue is the one who waits on it."""

import queue
import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(kind="thread", proven=True, name="crawler", function="crawl", blocked_on="Queue.get", created_at="crawl")
]

LINKS: dict[str, list[str]] = {"/": ["/a", "/b"], "/a": [], "/b": []}


def crawl(start: str) -> None:
    to_visit: queue.Queue[str] = queue.Queue()
    to_visit.put(start)
    while True:
        page = to_visit.get()
        for link in LINKS[page]:
            to_visit.put(link)


def program() -> None:
    crawler = threading.Thread(target=crawl, args=("/",), name="crawler")
    crawler.start()
    until_parked(crawler)
