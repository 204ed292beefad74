"""One proven, one not: a comprehension's variable is named like one of the function around, which a living thread has.

From Python 3.12 on the comprehension's variable lives in the function itself, and is empty while none runs.
"""

import queue
import threading
import time
from collections.abc import Callable

from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(kind="thread", proven=True, name="service", function="serve", blocked_on="Queue.get"),
    Expected(kind="thread", proven=False, name="waiter", function="get", blocked_on="Queue.get"),
]

Inbox = queue.Queue[str]


def make_service(inbox: Inbox, gate: Inbox) -> Callable[[], list[int]]:
    def serve() -> list[int]:
        gate.get()
        return [inbox.qsize() for inbox in (inbox, gate)]

    return serve


def keep(inbox: Inbox) -> None:
    while inbox.empty():
        time.sleep(0.02)


def program() -> None:
    inbox: Inbox = queue.Queue()
    serving = threading.Thread(target=make_service(inbox, queue.Queue()), name="service")
    waiter = threading.Thread(target=inbox.get, name="waiter")
    serving.start()
    waiter.start()
    inboxes = [inbox]
    threading.Thread(target=lambda: keep(inboxes.pop()), name="keeper", daemon=True).start()
    until_parked(serving, waiter)
