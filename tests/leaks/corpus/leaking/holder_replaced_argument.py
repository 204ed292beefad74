"""One proven, one not: a parked thread has the old queue of its object on its stack; somebody alive has the new one.

Who takes the object's queue of now for the one on the stack explains away the reference that matters.
"""

import queue
import threading
import time

from tests.leaks.corpus import Expected, until, until_parked

LEAKS = [
    Expected(kind="thread", proven=True, name="service", function="serve", blocked_on="Queue.get"),
    Expected(kind="thread", proven=False, name="waiter", function="get", blocked_on="Queue.get"),
]


class Service:
    def __init__(self) -> None:
        self.gate: queue.Queue[str] = queue.Queue()
        self.inbox: queue.Queue[str] = queue.Queue()

    def serve(self) -> None:
        deliver(self.inbox, self.gate.get())


def deliver(inbox: "queue.Queue[str]", text: str) -> None:
    inbox.put(text)


def keep(services: list[Service], replace: threading.Event) -> None:
    replace.wait()
    service = services.pop()
    new: queue.Queue[str] = queue.Queue()
    service.inbox = new
    del service
    threading.Thread(target=new.get, name="waiter", daemon=False).start()
    while new.empty():
        time.sleep(0.02)


def waiters() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "waiter"]


def program() -> None:
    services = [Service()]
    serving = threading.Thread(target=services[0].serve, name="service")
    serving.start()
    until_parked(serving)
    replace = threading.Event()
    threading.Thread(target=keep, args=(services, replace), name="keeper", daemon=True).start()
    replace.set()
    until(waiters)
    until_parked(*waiters())
