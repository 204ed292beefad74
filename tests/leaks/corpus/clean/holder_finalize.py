"""``weakref.finalize`` will put a last letter into the service's queue when a living object ends."""

import queue
import threading
import weakref

from tests.leaks.corpus import until_parked


class Office:
    pass


OFFICE = Office()


def program() -> None:
    inbox: queue.Queue[str] = queue.Queue()
    service = threading.Thread(target=inbox.get, name="service", daemon=True)
    service.start()
    until_parked(service)
    weakref.finalize(OFFICE, inbox.put, "closed")
