"""Not proven: a context variable of another thread, which is alive, has the queue and nothing else does."""

import queue
import threading
import time
from contextvars import ContextVar

from tests.leaks.corpus import Expected, until, until_parked

LEAKS = [Expected(kind="thread", proven=False, name="waiter", function="get", blocked_on="Queue.get")]

INBOX: ContextVar[queue.Queue[str]] = ContextVar("INBOX")


def start_waiter() -> None:
    inbox: queue.Queue[str] = queue.Queue()
    INBOX.set(inbox)
    threading.Thread(target=inbox.get, name="waiter").start()


def keep() -> None:
    start_waiter()
    while INBOX.get().empty():
        time.sleep(0.02)


def waiters() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "waiter"]


def program() -> None:
    threading.Thread(target=keep, name="keeper", daemon=True).start()
    until(waiters)
    until_parked(*waiters())
