"""A thread waits until the program is to end, on an event of the module."""

import threading

from tests.leaks.corpus import until_parked

SHUTDOWN = threading.Event()


def flush_at_the_end() -> None:
    SHUTDOWN.wait()


def program() -> None:
    flusher = threading.Thread(target=flush_at_the_end, name="flusher")
    flusher.start()
    until_parked(flusher)


def cleanup() -> None:
    SHUTDOWN.set()
