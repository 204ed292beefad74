"""Not proven: nobody alive has the queue, but somebody has the two parts of it that suffice to wake who waits."""

import queue
import threading
import time
from collections import deque

from tests.leaks.corpus import Expected, until_parked

LEAKS = [Expected(kind="thread", proven=False, name="waiter", function="get", blocked_on="Queue.get")]


def keep(not_empty: threading.Condition, items: deque[str]) -> None:
    while threading.main_thread().is_alive():
        time.sleep(0.02)
    with not_empty:
        items.append("a letter")
        not_empty.notify()


def program() -> None:
    inbox: queue.Queue[str] = queue.Queue()
    waiter = threading.Thread(target=inbox.get, name="waiter")
    waiter.start()
    threading.Thread(target=keep, args=(inbox.not_empty, inbox.queue), name="keeper", daemon=True).start()
    until_parked(waiter)
