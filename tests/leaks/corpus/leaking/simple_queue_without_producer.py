"""A thread waits in C for an item of a ``SimpleQueue``, which has no other user."""

import queue
import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [Expected(kind="thread", proven=True, name="writer", function="write", blocked_on="SimpleQueue")]


def write(entries: queue.SimpleQueue[str]) -> str:
    text = ""
    while entry := entries.get():
        text += entry
    return text


def program() -> None:
    entries: queue.SimpleQueue[str] = queue.SimpleQueue()
    writer = threading.Thread(target=write, args=(entries,), name="writer")
    writer.start()
    entries.put("first")
    until_parked(writer)
