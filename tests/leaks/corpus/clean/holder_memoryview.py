"""The service's queue is an attribute of an object that a ``memoryview`` exports."""

import queue
import threading

from tests.leaks.corpus import until_parked


class Buffer(bytearray):
    inbox: queue.Queue[str]


VIEWS: list[memoryview] = []


def program() -> None:
    inbox: queue.Queue[str] = queue.Queue()
    service = threading.Thread(target=inbox.get, name="service", daemon=True)
    service.start()
    until_parked(service)
    buffer = Buffer(10)
    buffer.inbox = inbox
    VIEWS.append(memoryview(buffer)[2:4])
