"""The wait is inside a generator that turns a queue into lines, and nobody ends the queue."""

import queue
import threading
from collections.abc import Iterator

from tests.leaks.corpus import Expected, until_parked

LEAKS = [Expected(kind="thread", proven=None, name="tail", function="lines", blocked_on="Queue.get", fix="sentinel")]


def lines(chunks: queue.Queue[str | None]) -> Iterator[str]:
    while (chunk := chunks.get()) is not None:
        yield from chunk.splitlines()


def count(chunks: queue.Queue[str | None]) -> int:
    return sum(len(line) for line in lines(chunks))


def program() -> None:
    chunks: queue.Queue[str | None] = queue.Queue()
    tail = threading.Thread(target=count, args=(chunks,), name="tail")
    tail.start()
    chunks.put("two\nlines")
    until_parked(tail)
