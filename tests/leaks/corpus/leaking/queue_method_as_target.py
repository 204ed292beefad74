"""A thread runs a queue's own ``get``, to be told when to end; nobody tells it."""

import queue
import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(kind="thread", proven=True, name="latch", function="get", blocked_on="Queue.get", created_at="program")
]


def program() -> None:
    latch = threading.Thread(target=queue.Queue().get, name="latch")
    latch.start()
    until_parked(latch)
