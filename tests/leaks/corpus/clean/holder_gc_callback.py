"""The service is told of garbage that cannot be collected, by a callback in ``gc.callbacks``."""

import gc
import queue
import threading

from tests.leaks.corpus import until_parked


def program() -> None:
    inbox: queue.Queue[str] = queue.Queue()
    service = threading.Thread(target=inbox.get, name="service", daemon=True)
    service.start()
    until_parked(service)

    def tell(phase: str, info: dict[str, int]) -> None:
        if info.get("uncollectable"):
            inbox.put(phase)

    gc.callbacks.append(tell)
