"""Not proven: five threads wait, each for the queue that the next one holds, and the last one is only asleep."""

import queue
import threading
import time

from tests.leaks.corpus import Expected, until_parked

LEAKS = [Expected(kind="thread", proven=False, name="link-*", function="pass_on", blocked_on="Queue.get")] * 5


def pass_on(mine: queue.Queue[str], next_one: queue.Queue[str]) -> None:
    next_one.put(mine.get())


def keep(inbox: queue.Queue[str]) -> None:
    while inbox.empty():
        time.sleep(0.02)


def program() -> None:
    queues: list[queue.Queue[str]] = [queue.Queue() for _ in range(6)]
    links = [threading.Thread(target=pass_on, args=queues[n : n + 2], name=f"link-{n}") for n in range(5)]
    for link in links:
        link.start()
    threading.Thread(target=keep, args=(queues[0],), name="keeper", daemon=True).start()
    until_parked(*links)
