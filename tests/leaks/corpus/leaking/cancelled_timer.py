"""The timer that was to give the signal is cancelled, and who waits for the signal is not told."""

import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [Expected(kind="thread", proven=True, name="waiter", function="wait_for", blocked_on="Event")]


def wait_for(signal: threading.Event) -> None:
    signal.wait()


def program() -> None:
    signal = threading.Event()
    timer = threading.Timer(3600, signal.set)
    timer.start()
    waiter = threading.Thread(target=wait_for, args=(signal,), name="waiter")
    waiter.start()
    timer.cancel()
    timer.join()
    until_parked(waiter)
