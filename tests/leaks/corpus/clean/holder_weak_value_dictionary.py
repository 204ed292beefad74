"""The service's queue is a value of a ``WeakValueDictionary`` of the module."""

import queue
import threading
import weakref

from tests.leaks.corpus import until_parked

INBOXES: weakref.WeakValueDictionary[str, queue.Queue[str]] = weakref.WeakValueDictionary()


def program() -> None:
    inbox: queue.Queue[str] = queue.Queue()
    service = threading.Thread(target=inbox.get, name="service", daemon=True)
    service.start()
    until_parked(service)
    INBOXES["anne"] = inbox
