"""Not proven: a C function that a running thread is in, ``list`` over a ``chain``, will hand the queue out in the end."""

import itertools
import queue
import threading
import time
from collections.abc import Iterator

from tests.leaks.corpus import Expected, until, until_parked

LEAKS = [Expected(kind="thread", proven=False, name="waiter", function="get", blocked_on="Queue.get")]


def new_inbox() -> "queue.Queue[str]":
    inbox: queue.Queue[str] = queue.Queue()
    threading.Thread(target=inbox.get, name="waiter").start()
    return inbox


def slowly() -> Iterator["queue.Queue[str]"]:
    while threading.main_thread().is_alive():
        time.sleep(0.02)
    yield queue.Queue()


def keep() -> None:
    for inbox in list(itertools.chain(slowly(), [new_inbox()])):
        inbox.put("a letter")


def waiters() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "waiter"]


def program() -> None:
    threading.Thread(target=keep, name="keeper", daemon=True).start()
    until(waiters)
    until_parked(*waiters())
