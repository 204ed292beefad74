"""An object that the module keeps has a worker of its own, and the queue in one of its attributes."""

import queue
import threading

from tests.leaks.corpus import until_parked


class Writer:
    def __init__(self) -> None:
        self._entries: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._write, name="writer", daemon=True)
        self.thread.start()

    def write(self, entry: str) -> None:
        self._entries.put(entry)

    def _write(self) -> None:
        while self._entries.get():
            pass


WRITERS: dict[str, Writer] = {}


def program() -> None:
    WRITERS["log"] = Writer()
    WRITERS["log"].write("an entry")
    until_parked(WRITERS["log"].thread)
