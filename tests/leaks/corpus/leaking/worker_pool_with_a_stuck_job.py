"""A WorkerPool is never left, and a job of it waits for an event that only the job knows."""

import threading

from penstock.core.pool import WorkerPool
from tests.leaks.corpus import Expected

LEAKS = [
    Expected(kind="thread", proven=True, name="resize-1", function="resize", blocked_on="Event", created_at="program"),
    Expected(kind="pool", proven=None, optional=True),
]


def resize(begun: threading.Event, loaded: threading.Event) -> None:
    begun.set()
    loaded.wait()


def program() -> None:
    pool = WorkerPool(2, name="resize")
    begun = threading.Event()
    pool.submit(resize, begun, threading.Event())
    begun.wait()
