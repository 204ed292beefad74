"""The callback of a weak reference to a living object will put into the service's queue."""

import queue
import threading
import weakref

from tests.leaks.corpus import until_parked


class Office:
    pass


OFFICE = Office()
REFERENCES: list[weakref.ref[Office]] = []


def program() -> None:
    inbox: queue.Queue[str] = queue.Queue()
    service = threading.Thread(target=inbox.get, name="service", daemon=True)
    service.start()
    until_parked(service)
    REFERENCES.append(weakref.ref(OFFICE, lambda _: inbox.put("closed")))
