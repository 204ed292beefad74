"""The forgotten consumer is a daemon, which hides the leak until somebody counts threads."""

import queue
import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [Expected(kind="thread", proven=True, name="scheduler", function="schedule", blocked_on="PriorityQueue.get")]


def schedule(jobs: queue.PriorityQueue[tuple[int, str]]) -> None:
    while True:
        urgency, _job = jobs.get()
        if urgency < 0:
            return


def program() -> None:
    jobs: queue.PriorityQueue[tuple[int, str]] = queue.PriorityQueue()
    scheduler = threading.Thread(target=schedule, args=(jobs,), name="scheduler", daemon=True)
    scheduler.start()
    jobs.put((1, "sweep"))
    until_parked(scheduler)
