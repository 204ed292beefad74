"""Not proven: nobody alive holds the queue, but a living thread has a weak reference and can get it from that."""

import queue
import threading
import time
import weakref

from tests.leaks.corpus import Expected, until_parked

LEAKS = [Expected(kind="thread", proven=False, name="waiter", function="get", blocked_on="Queue.get")]


def keep(reference: weakref.ref[queue.Queue[str]]) -> None:
    while reference() is not None:
        time.sleep(0.02)


def program() -> None:
    inbox: queue.Queue[str] = queue.Queue()
    waiter = threading.Thread(target=inbox.get, name="waiter")
    waiter.start()
    threading.Thread(target=keep, args=(weakref.ref(inbox),), name="keeper", daemon=True).start()
    until_parked(waiter)
