"""Proof possible: the module can reach the lock under a condition, but not the condition, and only that can notify."""

import threading

from tests.leaks.corpus import Expected, until_parked

# A lock in the module's hands may wake those who wait to enter, not those who wait to be notified. To tell these
# apart takes more care than may be asked for.
LEAKS = [Expected(kind="thread", proven=None, name="waiter", function="wait_for", blocked_on="Condition")]

LOCK = threading.Lock()


def wait_for(changed: threading.Condition) -> None:
    with changed:
        changed.wait()


def program() -> None:
    waiter = threading.Thread(target=wait_for, args=(threading.Condition(LOCK),), name="waiter", daemon=True)
    waiter.start()
    until_parked(waiter)
