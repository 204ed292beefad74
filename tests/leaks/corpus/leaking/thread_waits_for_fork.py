"""A thread waits for an event that a fork hook sets: nothing but the interpreter's own list of hooks holds it."""

import os
import threading

from tests.leaks.corpus import Expected, until_parked

# Never proven: the next fork sets it. The collector cannot see what the interpreter holds, so it may be reported.
LEAKS = [Expected(kind="thread", name="sleeper", function="sleep_until_fork", optional=True)]


def sleep_until_fork(forked: threading.Event) -> None:
    forked.wait()


def program() -> None:
    forked = threading.Event()
    os.register_at_fork(after_in_parent=forked.set)
    sleeper = threading.Thread(target=sleep_until_fork, args=(forked,), name="sleeper", daemon=True)
    sleeper.start()
    until_parked(sleeper)
