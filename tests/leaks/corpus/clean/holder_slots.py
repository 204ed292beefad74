"""The service's queue is in a slot of an object without ``__dict__``."""

import queue
import threading

from tests.leaks.corpus import until_parked


class Office:
    __slots__ = ("inbox",)

    inbox: queue.Queue[str]


OFFICE = Office()


def program() -> None:
    inbox: queue.Queue[str] = queue.Queue()
    service = threading.Thread(target=inbox.get, name="service", daemon=True)
    service.start()
    until_parked(service)
    OFFICE.inbox = inbox
