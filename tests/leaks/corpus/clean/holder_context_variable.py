"""The service's queue is the value of a context variable in the main context."""

import queue
import threading
from contextvars import ContextVar

from tests.leaks.corpus import until_parked

INBOX: ContextVar[queue.Queue[str]] = ContextVar("INBOX")


def program() -> None:
    inbox: queue.Queue[str] = queue.Queue()
    service = threading.Thread(target=inbox.get, name="service", daemon=True)
    service.start()
    until_parked(service)
    INBOX.set(inbox)
