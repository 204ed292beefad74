"""Not proven: the main thread has the queue in a ``threading.local`` of its own."""

import queue
import threading

from tests.leaks.corpus import Expected, until_parked

# A module global leads to it, in the main thread; for who sees that it is a service waiting for work.
LEAKS = [
    Expected(kind="thread", proven=False, name="waiter", function="get", blocked_on="Queue.get", optional=True),
]

MINE = threading.local()


def program() -> None:
    MINE.inbox = queue.Queue()
    waiter = threading.Thread(target=MINE.inbox.get, name="waiter")
    waiter.start()
    until_parked(waiter)
