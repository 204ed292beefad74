"""An executor is never shut down, and one of its jobs waits for a reply that cannot come any more."""

import queue
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from tests.leaks.corpus import Expected

LEAKS = [
    Expected(
        kind="thread",
        proven=True,
        name="jobs_0",
        function="ask",
        blocked_on="Queue.get",
        created_at="program",
        started_at="program",
    )
]


def ask(replies: queue.Queue[str], asked: Event) -> str:
    asked.set()
    return replies.get()


def program() -> None:
    executor = ThreadPoolExecutor(max_workers=2, thread_name_prefix="jobs")
    asked = Event()
    executor.submit(ask, queue.Queue(), asked)
    asked.wait()
