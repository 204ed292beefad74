"""Three threads pass a token round, each to the next one's queue, and nobody ever put the token in."""

import queue
import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [Expected(kind="thread", proven=True, name="stage-*", function="pass_on", blocked_on="Queue.get")] * 3


def pass_on(mine: queue.Queue[str], next_one: queue.Queue[str]) -> None:
    while True:
        next_one.put(mine.get())


def program() -> None:
    queues: list[queue.Queue[str]] = [queue.Queue() for _ in range(3)]
    stages = [
        threading.Thread(target=pass_on, args=(queues[n], queues[(n + 1) % 3]), name=f"stage-{n}") for n in range(3)
    ]
    for stage in stages:
        stage.start()
    until_parked(*stages)
