"""Producers and consumers that use every primitive of ``threading``, all told to end and joined."""

import queue
import threading


def produce(number: int, jobs: queue.Queue[int | None], begin: threading.Barrier, permits: threading.Semaphore) -> None:
    begin.wait()
    with permits:
        jobs.put(number)


def consume(jobs: queue.Queue[int | None], done: threading.Condition, results: list[int]) -> None:
    while (number := jobs.get()) is not None:
        with done:
            results.append(number)
            done.notify_all()


def program() -> None:
    jobs: queue.Queue[int | None] = queue.Queue(maxsize=1)
    results: list[int] = []
    done = threading.Condition()
    begin, permits = threading.Barrier(4), threading.BoundedSemaphore(2)
    threads = [threading.Thread(target=produce, args=(n, jobs, begin, permits)) for n in range(4)]
    threads.append(threading.Thread(target=consume, args=(jobs, done, results)))
    for thread in threads:
        thread.start()
    with done:
        done.wait_for(lambda: len(results) == 4)
    jobs.put(None)
    for thread in threads:
        thread.join()
    assert sorted(results) == [0, 1, 2, 3]
