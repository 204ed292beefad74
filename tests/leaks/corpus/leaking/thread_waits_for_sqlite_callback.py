"""A thread waits for an event that a function registered with SQLite sets: the database's C code alone holds it."""

import sqlite3
import threading

from tests.leaks.corpus import Expected, until_parked

# Never proven: a query may call the function. The collector cannot see what C code holds, so it may be reported.
LEAKS = [Expected(kind="thread", name="sleeper", function="sleep_until_called", optional=True)]

database = sqlite3.connect(":memory:", check_same_thread=False)


def sleep_until_called(called: threading.Event) -> None:
    called.wait()


def program() -> None:
    called = threading.Event()
    database.create_function("wake", 0, called.set)
    sleeper = threading.Thread(target=sleep_until_called, args=(called,), name="sleeper", daemon=True)
    sleeper.start()
    until_parked(sleeper)


def cleanup() -> None:
    database.execute("select wake()")
