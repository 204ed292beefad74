"""The service's queue is the value of a context variable in a ``Context`` that the module keeps."""

import queue
import threading
from contextvars import Context, ContextVar

from tests.leaks.corpus import until_parked

INBOX: ContextVar[queue.Queue[str]] = ContextVar("INBOX")
CONTEXT = Context()


def program() -> None:
    inbox: queue.Queue[str] = queue.Queue()
    service = threading.Thread(target=inbox.get, name="service", daemon=True)
    service.start()
    until_parked(service)
    CONTEXT.run(INBOX.set, inbox)
