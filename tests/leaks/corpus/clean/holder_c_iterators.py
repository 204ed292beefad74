"""The service's queue is in a ``map`` over a ``zip`` over ``iter(callable, end)``, which a module global holds."""

import queue
import threading
from collections.abc import Iterator

from tests.leaks.corpus import until_parked

LETTERS: list[Iterator[str]] = []


def program() -> None:
    inbox: queue.Queue[str] = queue.Queue()
    service = threading.Thread(target=inbox.get, name="service", daemon=True)
    service.start()
    until_parked(service)
    LETTERS.append(map(max, zip(iter(inbox.get_nowait, None), strict=False)))
