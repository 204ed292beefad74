"""The forgotten worker is a nested function, and what it waits on are variables of the function around it."""

import queue
import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [Expected(kind="thread", proven=True, name="counter", function="count", blocked_on="Queue.get")]


def start_counting() -> tuple[queue.Queue[str], threading.Thread]:
    words: queue.Queue[str] = queue.Queue()
    counts: dict[str, int] = {}

    def count(most: int) -> None:
        def one_more() -> None:
            word = words.get()
            counts[word] = counts.get(word, 0) + 1

        while len(counts) < most:
            one_more()

    counter = threading.Thread(target=lambda: count(100), name="counter")
    counter.start()
    return words, counter


def program() -> None:
    words, counter = start_counting()
    words.put("one")
    until_parked(counter)
