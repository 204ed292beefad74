"""Two threads each take one item, and one item is put: one of them waits for ever.

As in Go's goker set, where two receivers share a channel on which one value is sent.
"""

import queue
import threading

from tests.leaks.corpus import Expected, until, until_parked

LEAKS = [Expected(kind="thread", proven=True, name="waiter-*", function="wait_for_answer", blocked_on="Queue.get")]


def wait_for_answer(answers: queue.Queue[str]) -> str:
    return answers.get()


def program() -> None:
    answers: queue.Queue[str] = queue.Queue()
    waiters = [threading.Thread(target=wait_for_answer, args=(answers,), name=f"waiter-{n}") for n in range(2)]
    for waiter in waiters:
        waiter.start()
    answers.put("one answer")
    until(lambda: sum(waiter.is_alive() for waiter in waiters) == 1)
    until_parked(*(waiter for waiter in waiters if waiter.is_alive()))
