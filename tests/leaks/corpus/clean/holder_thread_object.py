"""The module has the thread object itself, and that has the queue in an attribute of its own."""

import queue
import threading

from tests.leaks.corpus import until_parked


class Indexer(threading.Thread):
    def __init__(self) -> None:
        super().__init__(name="indexer", daemon=True)
        self.inbox: queue.Queue[str] = queue.Queue()

    def run(self) -> None:
        while self.inbox.get():
            pass


INDEXERS: list[Indexer] = []


def program() -> None:
    indexer = Indexer()
    indexer.start()
    INDEXERS.append(indexer)
    until_parked(indexer)
