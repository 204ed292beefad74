"""A thread takes the first line from a generator, whose ``with`` holds the file, and then waits for a verdict."""

import queue
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(kind="thread", proven=True, name="reviewer", function="review", blocked_on="queue.Queue.get"),
    Expected(kind="fd", name="*file_in_half_consumed_generator.py*"),
]


def lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as file:
        yield from file


def review(verdicts: queue.Queue[bool]) -> None:
    for _line in lines(Path(__file__)):
        if not verdicts.get():
            break


def program() -> None:
    reviewer = threading.Thread(target=review, args=(queue.Queue(),), name="reviewer", daemon=True)
    reviewer.start()
    until_parked(reviewer)
