"""Not proven: a function registered with ``atexit``, which keeps it in C, will set the event."""

import atexit
import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(kind="thread", proven=False, name="waiter", function="wait_for", blocked_on="Event", optional=True),
]


def wait_for(event: threading.Event) -> None:
    event.wait()


def program() -> None:
    event = threading.Event()
    atexit.register(event.set)
    waiter = threading.Thread(target=wait_for, args=(event,), name="waiter", daemon=True)
    waiter.start()
    until_parked(waiter)
