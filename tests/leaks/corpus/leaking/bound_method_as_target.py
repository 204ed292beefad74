"""An object starts a thread on a method of its own; the object is dropped, the thread keeps it and waits on it."""

import queue
import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(
        kind="thread",
        proven=True,
        name="mailer",
        function="_deliver",
        blocked_on="Queue.get",
        created_at="Mailer.__init__",
        started_at="Mailer.__init__",
    )
]


class Mailer:
    def __init__(self) -> None:
        self._outbox: queue.Queue[str | None] = queue.Queue()
        self._sent = 0
        self.thread = threading.Thread(target=self._deliver, name="mailer")
        self.thread.start()

    def send(self, letter: str) -> None:
        self._outbox.put(letter)

    def _deliver(self) -> None:
        while self._outbox.get() is not None:
            self._sent += 1


def program() -> None:
    mailer = Mailer()
    mailer.send("hello")
    until_parked(mailer.thread)
