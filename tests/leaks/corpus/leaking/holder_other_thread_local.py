"""Not proven: another living thread has the queue in a ``threading.local``, where this one cannot look."""

import queue
import threading
import time

from tests.leaks.corpus import Expected, until, until_parked

# A module global leads to it, if only in the other thread; for who sees that it is a service waiting for work.
LEAKS = [
    Expected(kind="thread", proven=False, name="waiter", function="get", blocked_on="Queue.get", optional=True),
]

MINE = threading.local()


def keep() -> None:
    MINE.inbox = queue.Queue()
    threading.Thread(target=MINE.inbox.get, name="waiter").start()
    while MINE.inbox.empty():
        time.sleep(0.02)


def waiters() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "waiter"]


def program() -> None:
    threading.Thread(target=keep, name="keeper", daemon=True).start()
    until(waiters)
    until_parked(*waiters())
