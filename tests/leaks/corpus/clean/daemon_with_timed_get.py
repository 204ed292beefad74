"""A daemon looks for work with a timeout, and does something else when there is none."""

import queue
import threading

from tests.leaks.corpus import until


def work(jobs: queue.Queue[str], idle: list[int]) -> None:
    while True:
        try:
            jobs.get(timeout=0.05)
        except queue.Empty:
            idle[0] += 1


def program() -> None:
    idle = [0]
    threading.Thread(target=work, args=(queue.Queue(), idle), name="worker", daemon=True).start()
    until(lambda: idle[0])
