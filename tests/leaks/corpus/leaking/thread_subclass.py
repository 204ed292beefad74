"""A subclass of Thread keeps its queue in an attribute; whoever started it has dropped it without ``stop``."""

import queue
import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(
        kind="thread",
        proven=True,
        name="indexer",
        function="run",
        blocked_on="Queue.get",
        created_at="Indexer.__init__",
        started_at="program",
    )
]


class Indexer(threading.Thread):
    def __init__(self) -> None:
        super().__init__(name="indexer")
        self.inbox: queue.Queue[str | None] = queue.Queue()
        self.seen: set[str] = set()

    def stop(self) -> None:
        self.inbox.put(None)

    def run(self) -> None:
        while (document := self.inbox.get()) is not None:
            self.seen.add(document)


def program() -> None:
    indexer = Indexer()
    indexer.start()
    indexer.inbox.put("a")
    until_parked(indexer)
