"""Workers receive from a channel and send to it what they find; each keeps it open for the other.

A channel ends when its last sender closes. Here the senders are those that wait for it to end.
"""

import threading

from penstock.core.channel import ReceiveChannel, SendChannel, channel
from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(kind="thread", proven=True, name="crawler-0", function="crawl", blocked_on="receive"),
    Expected(kind="thread", proven=True, name="crawler-1", function="crawl", blocked_on="receive"),
    Expected(kind="channel", proven=None, optional=True),
]

LINKS: dict[str, list[str]] = {"/": ["/a", "/b"], "/a": [], "/b": []}


def crawl(found: SendChannel[str], to_visit: ReceiveChannel[str]) -> None:
    with found, to_visit:
        for page in to_visit:
            for link in LINKS[page]:
                found.send(link)


def program() -> None:
    found, to_visit = channel(10, name="pages")
    threads = []
    for number in range(2):
        ends = (found.clone(), to_visit.clone())
        threads.append(threading.Thread(target=crawl, args=ends, name=f"crawler-{number}"))
    found.send("/")
    found.close()
    for thread in threads:
        thread.start()
    to_visit.close()
    until_parked(*threads)
