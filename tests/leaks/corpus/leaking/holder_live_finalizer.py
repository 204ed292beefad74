"""Not proven: a living thread holds an object whose ``__del__`` sets the event."""

import threading
import time

from tests.leaks.corpus import Expected, until_parked

LEAKS = [Expected(kind="thread", proven=False, name="waiter", function="wait_for", blocked_on="Event")]


class Session:
    def __init__(self, closed: threading.Event) -> None:
        self.closed = closed

    def __del__(self) -> None:
        self.closed.set()


def keep(session: Session) -> None:
    while not session.closed.is_set():
        time.sleep(0.02)


def wait_for(event: threading.Event) -> None:
    event.wait()


def program() -> None:
    closed = threading.Event()
    waiter = threading.Thread(target=wait_for, args=(closed,), name="waiter")
    waiter.start()
    threading.Thread(target=keep, args=(Session(closed),), name="keeper", daemon=True).start()
    until_parked(waiter)
