"""A worker that lives for the length of a ``with`` block, written as a generator."""

import contextlib
import queue
import threading
from collections.abc import Iterator


def work(jobs: queue.Queue[str | None], results: list[str]) -> None:
    while (job := jobs.get()) is not None:
        results.append(job.upper())


@contextlib.contextmanager
def working(results: list[str]) -> Iterator[queue.Queue[str | None]]:
    jobs: queue.Queue[str | None] = queue.Queue()
    worker = threading.Thread(target=work, args=(jobs, results))
    worker.start()
    try:
        yield jobs
    finally:
        jobs.put(None)
        worker.join()


def program() -> None:
    results: list[str] = []
    with working(results) as jobs:
        jobs.put("a")
    assert results == ["A"]
