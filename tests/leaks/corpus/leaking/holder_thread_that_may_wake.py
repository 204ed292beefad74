"""Not proven: the queue is held by a thread that is parked itself, but on a queue that the module can reach."""

import queue
import threading

from tests.leaks.corpus import Expected, until_parked

# The relay waits for work and is no leak; what depends on it must be suspected at the most.
LEAKS = [Expected(kind="thread", proven=False, name="waiter", function="get", blocked_on="Queue.get")]

WORK: queue.Queue[str] = queue.Queue()


def relay(inbox: queue.Queue[str]) -> None:
    inbox.put(WORK.get())


def program() -> None:
    inbox: queue.Queue[str] = queue.Queue()
    waiter = threading.Thread(target=inbox.get, name="waiter")
    waiter.start()
    relaying = threading.Thread(target=relay, args=(inbox,), name="relay", daemon=True)
    relaying.start()
    until_parked(waiter, relaying)
