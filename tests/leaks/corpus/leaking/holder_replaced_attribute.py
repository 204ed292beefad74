"""Proven: the service lives on, but has exchanged the queue its thread waits on for a new one.

The thread's stack refers to the service as well, which everybody can reach; that does not lead to the old queue.
"""

import queue
import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [Expected(kind="thread", proven=True, name="serve", function="serve", blocked_on="Queue.get")]


class Service:
    def __init__(self) -> None:
        self.inbox: queue.Queue[str] = queue.Queue()

    def reset(self) -> None:
        self.inbox = queue.Queue()

    def serve(self) -> None:
        while self.inbox.get():
            pass


THE_SERVICE = Service()


def program() -> None:
    serving = threading.Thread(target=THE_SERVICE.serve, name="serve", daemon=True)
    serving.start()
    until_parked(serving)
    THE_SERVICE.reset()
