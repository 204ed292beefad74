"""Not proven: a running thread has evaluated the queue as an argument, and still works on the next argument.

Until the call begins, the queue is in no variable; only the interpreter's evaluation stack holds it.
"""

import queue
import threading
import time

from tests.leaks.corpus import Expected, until, until_parked

LEAKS = [Expected(kind="thread", proven=False, name="waiter", function="get", blocked_on="Queue.get")]


def new_inbox() -> "queue.Queue[str]":
    inbox: queue.Queue[str] = queue.Queue()
    threading.Thread(target=inbox.get, name="waiter").start()
    return inbox


def letter() -> str:
    while threading.main_thread().is_alive():
        time.sleep(0.02)
    return "a letter"


def deliver(inbox: "queue.Queue[str]", text: str) -> None:
    inbox.put(text)


def keep() -> None:
    deliver(new_inbox(), letter())


def waiters() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "waiter"]


def program() -> None:
    threading.Thread(target=keep, name="keeper", daemon=True).start()
    until(waiters)
    until_parked(*waiters())
