"""The service's queue is a local variable of a frame that the traceback of a kept exception refers to."""

import queue
import threading

from tests.leaks.corpus import until_parked

ERRORS: list[ValueError] = []


def program() -> None:
    inbox: queue.Queue[str] = queue.Queue()
    service = threading.Thread(target=inbox.get, name="service", daemon=True)
    service.start()
    until_parked(service)

    def fail(inbox: queue.Queue[str]) -> None:
        raise ValueError(inbox.qsize())

    try:
        fail(inbox)
    except ValueError as error:
        ERRORS.append(error)
