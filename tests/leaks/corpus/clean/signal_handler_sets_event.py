"""A thread waits for an event of the module that a signal handler sets, as servers do to shut down."""

import signal
import threading

from tests.leaks.corpus import until_parked

STOP = threading.Event()


def wait_for_stop() -> None:
    STOP.wait()


def program() -> None:
    signal.signal(signal.SIGTERM, lambda number, frame: STOP.set())
    waiter = threading.Thread(target=wait_for_stop, name="waiter")
    waiter.start()
    until_parked(waiter)


def cleanup() -> None:
    signal.raise_signal(signal.SIGTERM)
