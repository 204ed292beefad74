"""A pool of two connections in a queue; both are borrowed, and the error path does not give them back."""

import contextlib
import queue
import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [Expected(kind="thread", proven=True, name="third", function="borrow", blocked_on="Queue.get")]


class Pool:
    def __init__(self, names: list[str]) -> None:
        self._idle: queue.LifoQueue[str] = queue.LifoQueue()
        for name in names:
            self._idle.put(name)

    def borrow(self) -> str:
        return self._idle.get()

    def give_back(self, name: str) -> None:
        self._idle.put(name)


def query(pool: Pool, statement: str) -> str:
    connection = pool.borrow()
    if not statement:
        raise ValueError("empty statement")
    pool.give_back(connection)
    return statement


def program() -> None:
    pool = Pool(["a", "b"])
    for _ in range(2):
        with contextlib.suppress(ValueError):
            query(pool, "")
    third = threading.Thread(target=query, args=(pool, "select 1"), name="third")
    third.start()
    until_parked(third)
