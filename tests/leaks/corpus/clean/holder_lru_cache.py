"""The service's queue is the cached result of a function of the module."""

import functools
import queue
import threading

from tests.leaks.corpus import until_parked

CREATED: list[queue.Queue[str]] = []


@functools.lru_cache(maxsize=10)
def inbox_of(name: str) -> queue.Queue[str]:
    return CREATED[-1]


def program() -> None:
    inbox: queue.Queue[str] = queue.Queue()
    service = threading.Thread(target=inbox.get, name="service", daemon=True)
    service.start()
    until_parked(service)
    CREATED.append(inbox)
    assert inbox_of("anne") is inbox
    CREATED.clear()
