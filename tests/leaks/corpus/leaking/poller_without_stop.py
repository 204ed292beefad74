"""A thread that is no daemon looks every 50 ms whether it is to stop, and whoever could say so is gone.

It wakes by itself, so nothing is proven; but it keeps the process from ending.
"""

import threading

from tests.leaks.corpus import Expected, until

LEAKS = [Expected(kind="thread", proven=False, name="poller", function="poll", blocked_on="Event")]


def poll(stop: threading.Event, polled: list[int]) -> None:
    while not stop.wait(0.05):
        polled[0] += 1


def program() -> None:
    polled = [0]
    poller = threading.Thread(target=poll, args=(threading.Event(), polled), name="poller")
    poller.start()
    until(lambda: polled[0])
