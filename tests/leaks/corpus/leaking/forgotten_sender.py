"""The consumer has given up, and the producer still waits for room in the bounded queue between them.

The shape of "forgotten sender": in Go a goroutine sends its answer to a caller that stopped waiting at a timeout.
"""

import queue
import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(
        kind="thread", proven=True, name="search", function="search", blocked_on="Queue.put", created_at="first_answer"
    )
]


def search(answers: queue.Queue[str]) -> None:
    for page in range(10):
        answers.put(f"page {page}")


def first_answer() -> str:
    answers: queue.Queue[str] = queue.Queue(maxsize=1)
    searching = threading.Thread(target=search, args=(answers,), name="search")
    searching.start()
    answer = answers.get(timeout=5)
    until_parked(searching)
    return answer


def program() -> None:
    assert first_answer() == "page 0"
