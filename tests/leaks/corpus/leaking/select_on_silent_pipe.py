"""A thread selects, without a timeout, on a wake-up pipe whose other end it holds itself and nobody knows."""

import os
import select
import threading

from tests.leaks.corpus import Expected, until_parked

# Not proven: a descriptor is a number, and anybody may write to a number.
LEAKS = [
    Expected(kind="thread", name="selector", function="wait_for_wakeup", blocked_on="select"),
    Expected(kind="fd"),
    Expected(kind="fd"),
]


def wait_for_wakeup() -> None:
    woken, wake = os.pipe()
    select.select([woken], [], [])
    os.close(woken)
    os.close(wake)


def program() -> None:
    selector = threading.Thread(target=wait_for_wakeup, name="selector", daemon=True)
    selector.start()
    until_parked(selector)
