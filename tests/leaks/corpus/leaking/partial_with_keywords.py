"""The queue of a forgotten worker was bound with ``functools.partial`` as a keyword, beside those the thread adds."""

import functools
import queue
import threading

from tests.leaks.corpus import Expected, until_parked

# While the call lasts, C code holds the keywords of both in a dict that nobody can see.
LEAKS = [Expected(kind="thread", proven=None, name="resizer", function="resize", blocked_on="Queue.get")]


def resize(inbox: queue.Queue[list[int] | None], width: int) -> None:
    while (picture := inbox.get()) is not None:
        picture.append(width)


def program() -> None:
    inbox: queue.Queue[list[int] | None] = queue.Queue()
    target = functools.partial(resize, inbox=inbox)
    resizer = threading.Thread(target=target, kwargs={"width": 640}, name="resizer")
    resizer.start()
    inbox.put([])
    until_parked(resizer)
