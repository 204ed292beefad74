"""Not proven: a thread that lives on has the queue in a local variable and may put something at any time."""

import queue
import threading
import time

from tests.leaks.corpus import Expected, until_parked

LEAKS = [Expected(kind="thread", proven=False, name="waiter", function="get", blocked_on="Queue.get")]


def keep(inbox: queue.Queue[str]) -> None:
    while inbox.empty():
        time.sleep(0.02)


def program() -> None:
    inbox: queue.Queue[str] = queue.Queue()
    waiter = threading.Thread(target=inbox.get, name="waiter")
    waiter.start()
    threading.Thread(target=keep, args=(inbox,), name="keeper", daemon=True).start()
    until_parked(waiter)
