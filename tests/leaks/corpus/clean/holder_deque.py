"""The service's queue is in a ``collections.deque``."""

import queue
import threading
from collections import deque

from tests.leaks.corpus import until_parked

INBOXES: deque[queue.Queue[str]] = deque(maxlen=3)


def program() -> None:
    inbox: queue.Queue[str] = queue.Queue()
    service = threading.Thread(target=inbox.get, name="service", daemon=True)
    service.start()
    until_parked(service)
    INBOXES.append(inbox)
