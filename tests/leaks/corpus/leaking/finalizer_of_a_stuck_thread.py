"""The signal would be given by the finalizer of an object that the waiting thread itself keeps alive."""

import threading

from tests.leaks.corpus import Expected, until_parked

# Nobody can finish this object before the thread has ended. A detector may well respect every finalizer.
LEAKS = [Expected(kind="thread", proven=None, name="waiter", function="wait_for", blocked_on="Event")]


class Session:
    def __init__(self) -> None:
        self.closed = threading.Event()

    def __del__(self) -> None:
        self.closed.set()


def wait_for(session: Session) -> None:
    session.closed.wait()


def program() -> None:
    waiter = threading.Thread(target=wait_for, args=(Session(),), name="waiter")
    waiter.start()
    until_parked(waiter)
