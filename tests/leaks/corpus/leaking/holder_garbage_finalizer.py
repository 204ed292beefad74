"""Not proven: garbage in a cycle holds the event, and sets it when the collector comes."""

import gc
import threading

from tests.leaks.corpus import Expected, until_parked

# A check that collects garbage first wakes the thread, and then there is nothing to report.
LEAKS = [
    Expected(kind="thread", proven=False, name="waiter", function="wait_for", blocked_on="Event", optional=True),
]


class Session:
    def __init__(self, closed: threading.Event) -> None:
        self.closed = closed
        self.itself = self

    def __del__(self) -> None:
        self.closed.set()


def wait_for(event: threading.Event) -> None:
    event.wait()


def program() -> None:
    gc.disable()
    closed = threading.Event()
    waiter = threading.Thread(target=wait_for, args=(closed,), name="waiter")
    waiter.start()
    Session(closed)
    until_parked(waiter)
