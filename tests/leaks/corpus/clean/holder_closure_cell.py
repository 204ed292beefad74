"""The service's queue is in the closure of a function of the module."""

import queue
import threading
from collections.abc import Callable

from tests.leaks.corpus import until_parked

SENDERS: list[Callable[[str], None]] = []


def program() -> None:
    inbox: queue.Queue[str] = queue.Queue()
    service = threading.Thread(target=inbox.get, name="service", daemon=True)
    service.start()
    until_parked(service)

    def send(letter: str) -> None:
        inbox.put(letter.strip())

    SENDERS.append(send)
