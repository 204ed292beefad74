"""One proven, one not: as with a replaced attribute, but the variable belongs to a closure."""

import queue
import threading
import time
from collections.abc import Callable

from tests.leaks.corpus import Expected, until, until_parked

LEAKS = [
    Expected(kind="thread", proven=True, name="service", function="serve", blocked_on="Queue.get"),
    Expected(kind="thread", proven=False, name="waiter", function="get", blocked_on="Queue.get"),
]

Inbox = queue.Queue[str]


def deliver(inbox: Inbox, text: str) -> None:
    inbox.put(text)


def make_service() -> tuple[Callable[[], None], Callable[[], Inbox]]:
    gate: Inbox = queue.Queue()
    inbox: Inbox = queue.Queue()

    def serve() -> None:
        deliver(inbox, gate.get())

    def replace() -> Inbox:
        nonlocal inbox
        inbox = queue.Queue()
        return inbox

    return serve, replace


def keep(replacing: list[Callable[[], Inbox]], go: threading.Event) -> None:
    go.wait()
    new = replacing.pop()()
    threading.Thread(target=new.get, name="waiter", daemon=False).start()
    while new.empty():
        time.sleep(0.02)


def waiters() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "waiter"]


def program() -> None:
    serve, replace = make_service()
    serving = threading.Thread(target=serve, name="service")
    serving.start()
    until_parked(serving)
    go = threading.Event()
    threading.Thread(target=keep, args=([replace], go), name="keeper", daemon=True).start()
    del replace
    go.set()
    until(waiters)
    until_parked(*waiters())
