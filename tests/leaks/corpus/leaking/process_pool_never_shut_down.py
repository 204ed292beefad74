"""A thread works off one batch in a process pool of its own and waits for the next, which nobody brings."""

import concurrent.futures
import multiprocessing
import queue
import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(kind="thread", proven=None, name="cruncher", function="crunch", blocked_on="queue.Queue.get"),
    Expected(kind="process"),
    Expected(kind="pool", optional=True),
    *[Expected(kind="thread", name="*Thread*", optional=True)] * 2,  # the pool's manager and the feeder of its queue
    *[Expected(kind="fd", optional=True)] * 8,  # its pipes
]


def crunch(batches: queue.Queue[list[int] | None]) -> None:
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        while (batch := batches.get()) is not None:
            list(pool.map(abs, batch))
            batches.task_done()


def program() -> None:
    batches: queue.Queue[list[int] | None] = queue.Queue()
    batches.put([-1, -2])
    cruncher = threading.Thread(target=crunch, args=(batches,), name="cruncher", daemon=True)
    cruncher.start()
    batches.join()
    until_parked(cruncher)


def cleanup() -> None:
    for child in multiprocessing.active_children():
        child.kill()
