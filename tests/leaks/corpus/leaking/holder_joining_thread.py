"""Not proven: who holds the event waits for a thread to end, and that thread is alive."""

import threading
import time

from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(kind="thread", proven=False, name="closer", function="close_after", blocked_on="join"),
    Expected(kind="thread", proven=False, name="waiter", function="wait_for", blocked_on="Event"),
]


def sleep() -> None:
    while threading.main_thread().is_alive():
        time.sleep(0.02)


def close_after(sleeper: threading.Thread, closed: threading.Event) -> None:
    sleeper.join()
    closed.set()


def wait_for(event: threading.Event) -> None:
    event.wait()


def program() -> None:
    closed = threading.Event()
    sleeper = threading.Thread(target=sleep, name="sleeper", daemon=True)
    closer = threading.Thread(target=close_after, args=(sleeper, closed), name="closer")
    waiter = threading.Thread(target=wait_for, args=(closed,), name="waiter")
    for thread in (sleeper, closer, waiter):
        thread.start()
    until_parked(closer, waiter)
