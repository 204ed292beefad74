"""Not proven: the only one who has the condition is a weak method, kept where it can be called from."""

import threading
import weakref
from collections.abc import Callable

from tests.leaks.corpus import Expected, until_parked

# A module global leads to it; for who sees that it is a service waiting for work.
LEAKS = [
    Expected(kind="thread", proven=False, name="waiter", function="run", blocked_on="Condition", optional=True),
]


class Service:
    def __init__(self) -> None:
        self.changed = threading.Condition()

    def run(self) -> None:
        with self.changed:
            self.changed.wait()

    def wake(self) -> None:
        with self.changed:
            self.changed.notify_all()


LISTENERS: list[Callable[[], Callable[[], None] | None]] = []


def program() -> None:
    service = Service()
    LISTENERS.append(weakref.WeakMethod(service.wake))
    waiter = threading.Thread(target=service.run, name="waiter")
    waiter.start()
    until_parked(waiter)


def cleanup() -> None:
    wake = LISTENERS[0]()
    assert wake is not None
    wake()
