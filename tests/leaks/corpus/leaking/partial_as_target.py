"""The queue of a forgotten worker was bound with ``functools.partial``."""

import functools
import queue
import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(
        kind="thread", proven=True, name="resizer", function="resize", blocked_on="Queue.get", created_at="program"
    )
]


def resize(inbox: queue.Queue[list[int] | None], width: int) -> None:
    while (picture := inbox.get()) is not None:
        picture.append(width)


def program() -> None:
    inbox: queue.Queue[list[int] | None] = queue.Queue()
    resizer = threading.Thread(target=functools.partial(resize, inbox, 640), name="resizer")
    resizer.start()
    inbox.put([])
    until_parked(resizer)
