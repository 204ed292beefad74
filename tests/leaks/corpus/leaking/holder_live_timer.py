"""Not proven: a timer that is going to fire holds the event's ``set``."""

import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [Expected(kind="thread", proven=False, name="waiter", function="wait_for", blocked_on="Event")]


def wait_for(signal: threading.Event) -> None:
    signal.wait()


def program() -> None:
    signal = threading.Event()
    timer = threading.Timer(3600, signal.set)
    timer.daemon = True
    timer.start()
    waiter = threading.Thread(target=wait_for, args=(signal,), name="waiter")
    waiter.start()
    until_parked(waiter)
