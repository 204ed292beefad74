"""A module keeps its threads in a list, but not the queue they wait on: that is gone, and nobody can wake them."""

import queue
import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [Expected(kind="thread", proven=True, name="worker-*", function="work", blocked_on="Queue.get")] * 2

THREADS: list[threading.Thread] = []


def work(jobs: queue.Queue[int | None]) -> None:
    while jobs.get() is not None:
        pass


def program() -> None:
    jobs: queue.Queue[int | None] = queue.Queue()
    for number in range(2):
        worker = threading.Thread(target=work, args=(jobs,), name=f"worker-{number}")
        worker.start()
        THREADS.append(worker)
    until_parked(*THREADS)
