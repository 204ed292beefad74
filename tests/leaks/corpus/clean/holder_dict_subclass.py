"""The service's queue is a value of a dict subclass."""

import queue
import threading

from tests.leaks.corpus import until_parked


class Registry(dict[str, queue.Queue[str]]):
    pass


INBOXES = Registry()


def program() -> None:
    inbox: queue.Queue[str] = queue.Queue()
    service = threading.Thread(target=inbox.get, name="service", daemon=True)
    service.start()
    until_parked(service)
    INBOXES["anne"] = inbox
