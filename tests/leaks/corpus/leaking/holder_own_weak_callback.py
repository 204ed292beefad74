"""Not proven: the waiting function itself keeps a weak reference whose callback sets the event when an object ends.

The object is alive elsewhere, and no reference leads from it to the callback; and yet it is the callback's caller.
"""

import threading
import weakref

from tests.leaks.corpus import Expected, until_parked

# The object is a module's, so that who sees the way from it to the event may take the thread for a service.
LEAKS = [
    Expected(kind="thread", proven=False, name="waiter", function="wait_for_end", blocked_on="Event", optional=True),
]


class Office:
    pass


OFFICES = [Office()]


def wait_for_end(offices: list[Office]) -> None:
    closed = threading.Event()
    reference = weakref.ref(offices.pop(), lambda _: closed.set())
    closed.wait()
    assert reference() is None


def program() -> None:
    waiter = threading.Thread(target=wait_for_end, args=(OFFICES.copy(),), name="waiter")
    waiter.start()
    until_parked(waiter)


def cleanup() -> None:
    OFFICES.clear()
