"""A daemon waits for work on a queue of the module: whoever imports the module can give it some."""

import queue
import threading

from tests.leaks.corpus import until_parked

LETTERS: queue.Queue[str] = queue.Queue()
SENT: list[str] = []


def send() -> None:
    while True:
        SENT.append(LETTERS.get())
        LETTERS.task_done()


def program() -> None:
    sender = threading.Thread(target=send, name="sender", daemon=True)
    sender.start()
    LETTERS.put("a letter")
    LETTERS.join()
    assert SENT == ["a letter"]
    until_parked(sender)
