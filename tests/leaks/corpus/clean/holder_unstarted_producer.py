"""The producer is a thread that the module has made and not yet started."""

import queue
import threading

from tests.leaks.corpus import until_parked

PRODUCERS: list[threading.Thread] = []


def program() -> None:
    inbox: queue.Queue[str] = queue.Queue()
    service = threading.Thread(target=inbox.get, name="service", daemon=True)
    service.start()
    until_parked(service)
    PRODUCERS.append(threading.Thread(target=inbox.put, args=("a letter",)))
