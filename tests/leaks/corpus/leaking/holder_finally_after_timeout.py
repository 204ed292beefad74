"""Not proven: the holder's wait has a timeout, and a ``finally`` that lets the other go."""

import queue
import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [Expected(kind="thread", proven=False, name="waiter", function="get", blocked_on="Queue.get")]


def hold(inbox: queue.Queue[str | None], never: threading.Event) -> None:
    try:
        never.wait(3600)
    finally:
        inbox.put(None)


def program() -> None:
    inbox: queue.Queue[str | None] = queue.Queue()
    waiter = threading.Thread(target=inbox.get, name="waiter")
    waiter.start()
    holder = threading.Thread(target=hold, args=(inbox, threading.Event()), name="holder", daemon=True)
    holder.start()
    until_parked(waiter, holder)
