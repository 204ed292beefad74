"""Not proven: a suspended generator, in the hands of a living thread, puts into the queue when it goes on."""

import queue
import threading
import time
from collections.abc import Iterator

from tests.leaks.corpus import Expected, until_parked

LEAKS = [Expected(kind="thread", proven=False, name="waiter", function="get", blocked_on="Queue.get")]


def letters(inbox: queue.Queue[str]) -> Iterator[None]:
    yield
    inbox.put("a letter")


def keep(steps: Iterator[None]) -> None:
    for _ in steps:
        while threading.main_thread().is_alive():
            time.sleep(0.02)


def program() -> None:
    inbox: queue.Queue[str] = queue.Queue()
    waiter = threading.Thread(target=inbox.get, name="waiter")
    waiter.start()
    threading.Thread(target=keep, args=(letters(inbox),), name="keeper", daemon=True).start()
    until_parked(waiter)
