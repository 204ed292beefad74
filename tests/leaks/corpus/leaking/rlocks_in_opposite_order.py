"""Two objects with a re-entrant lock each call one another while they hold their own."""

import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [Expected(kind="thread", proven=True, name="*'s friend", function="greeted", blocked_on="RLock")] * 2


class Person:
    def __init__(self, name: str, everybody_bows: threading.Barrier) -> None:
        self.name = name
        self.lock = threading.RLock()
        self.everybody_bows = everybody_bows

    def greet(self, other: "Person") -> None:
        with self.lock:
            self.everybody_bows.wait()
            other.greeted(self.name)

    def greeted(self, name: str) -> str:
        with self.lock:
            return name


def program() -> None:
    everybody_bows = threading.Barrier(2)
    anne, bob = Person("anne", everybody_bows), Person("bob", everybody_bows)
    threads = [
        threading.Thread(target=anne.greet, args=(bob,), name="bob's friend"),
        threading.Thread(target=bob.greet, args=(anne,), name="anne's friend"),
    ]
    for thread in threads:
        thread.start()
    until_parked(*threads)
