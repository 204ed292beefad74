"""The consumer skips ``task_done`` for a bad item, so ``join`` on the queue never returns."""

import queue
import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(
        kind="thread",
        proven=True,
        name="finisher",
        function="finish",
        blocked_on="Queue.join",
        created_at="program",
        fix="task_done",
    )
]


def consume(numbers: queue.Queue[str | None]) -> int:
    total = 0
    while (number := numbers.get()) is not None:
        if not number.isdigit():
            continue
        total += int(number)
        numbers.task_done()
    numbers.task_done()
    return total


def finish(numbers: queue.Queue[str | None]) -> None:
    numbers.join()


def program() -> None:
    numbers: queue.Queue[str | None] = queue.Queue()
    for number in ("1", "two", "3", None):
        numbers.put(number)
    consumer = threading.Thread(target=consume, args=(numbers,), name="consumer")
    finisher = threading.Thread(target=finish, args=(numbers,), name="finisher")
    finisher.start()
    consumer.start()
    consumer.join()
    until_parked(finisher)
