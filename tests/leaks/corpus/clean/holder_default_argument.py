"""The service's queue is the default argument of a function that the module has."""

import queue
import threading
from collections.abc import Callable

from tests.leaks.corpus import until_parked

SENDERS: dict[str, Callable[..., None]] = {}


def program() -> None:
    inbox: queue.Queue[str] = queue.Queue()
    service = threading.Thread(target=inbox.get, name="service", daemon=True)
    service.start()
    until_parked(service)

    def send(letter: str, to: queue.Queue[str] = inbox) -> None:
        to.put(letter)

    SENDERS["letters"] = send
