"""The last stage of a pipeline fails; the stages before it wait for room in their queues.

From Go's pipelines article: a stage that returns early must drain its input, or tell those upstream to stop.
"""

import queue
import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(kind="thread", proven=True, name="numbers", function="produce", blocked_on="Queue.put"),
    Expected(kind="thread", proven=True, name="squares", function="square", blocked_on="Queue.put"),
]


def produce(outbox: queue.Queue[int]) -> None:
    for number in range(100):
        outbox.put(number)


def square(inbox: queue.Queue[int], outbox: queue.Queue[int]) -> None:
    while True:
        outbox.put(inbox.get() ** 2)


def add_up(inbox: queue.Queue[int]) -> int:
    total = 0
    while True:
        square = inbox.get()
        if square > 10:
            return total
        total += square


def program() -> None:
    numbers: queue.Queue[int] = queue.Queue(maxsize=1)
    squares: queue.Queue[int] = queue.Queue(maxsize=1)
    stages = [
        threading.Thread(target=produce, args=(numbers,), name="numbers"),
        threading.Thread(target=square, args=(numbers, squares), name="squares"),
    ]
    for stage in stages:
        stage.start()
    assert add_up(squares) == 14
    until_parked(*stages)
