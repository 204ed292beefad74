"""Not proven: a signal handler, which the interpreter keeps in C, holds a ``functools.partial`` of the setter."""

import functools
import signal
import threading

from tests.leaks.corpus import Expected, until_parked

# To see who holds a handler one has to ask the signal module; who does not is right to suspect.
LEAKS = [
    Expected(kind="thread", proven=False, name="waiter", function="wait_for", blocked_on="Event", optional=True),
]


def wait_for(event: threading.Event) -> None:
    event.wait()


def handle(event: threading.Event, number: int, frame: object) -> None:
    event.set()


def program() -> None:
    event = threading.Event()
    signal.signal(signal.SIGUSR1, functools.partial(handle, event))
    waiter = threading.Thread(target=wait_for, args=(event,), name="waiter")
    waiter.start()
    until_parked(waiter)
