"""The service's queue is a local variable of a suspended generator that the module holds."""

import queue
import threading
from collections.abc import Generator

from tests.leaks.corpus import until_parked


def send_letters(inbox: queue.Queue[str]) -> Generator[None, str, None]:
    while True:
        inbox.put((yield))


WRITERS: list[Generator[None, str, None]] = []


def program() -> None:
    inbox: queue.Queue[str] = queue.Queue()
    service = threading.Thread(target=inbox.get, name="service", daemon=True)
    service.start()
    until_parked(service)
    letters = send_letters(inbox)
    next(letters)
    WRITERS.append(letters)
