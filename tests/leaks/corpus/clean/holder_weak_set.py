"""The service's queue is in a ``WeakSet`` of the module, which anybody can iterate over to send."""

import queue
import threading
import weakref

from tests.leaks.corpus import until_parked

INBOXES: weakref.WeakSet[queue.Queue[str]] = weakref.WeakSet()


def program() -> None:
    inbox: queue.Queue[str] = queue.Queue()
    service = threading.Thread(target=inbox.get, name="service", daemon=True)
    service.start()
    until_parked(service)
    INBOXES.add(inbox)
