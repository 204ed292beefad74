"""Workers range over a queue that nobody ever closes: the work is done, the workers wait for more.

The shape of "abandoned receivers": Go workers ranging over a channel whose sender forgot ``close``.
"""

import queue
import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(
        kind="thread",
        proven=True,
        name="worker-*",
        function="work",
        blocked_on="Queue.get",
        created_at="program",
        started_at="program",
        fix="sentinel",
    )
] * 3


def work(jobs: queue.Queue[int], results: list[int]) -> None:
    while True:
        number = jobs.get()
        results.append(number * number)
        jobs.task_done()


def program() -> None:
    jobs: queue.Queue[int] = queue.Queue()
    results: list[int] = []
    workers = [threading.Thread(target=work, args=(jobs, results), name=f"worker-{n}") for n in range(3)]
    for worker in workers:
        worker.start()
    for number in range(10):
        jobs.put(number)
    jobs.join()
    until_parked(*workers)
