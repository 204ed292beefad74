"""A lock of the module was taken by a thread that is gone. Any code may still release it, so nothing is proven."""

import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [Expected(kind="thread", proven=False, name="second", function="use", blocked_on="Lock")]

LOCK = threading.Lock()


def use() -> None:
    LOCK.acquire()


def program() -> None:
    first = threading.Thread(target=use, name="first")
    first.start()
    first.join()
    second = threading.Thread(target=use, name="second")
    second.start()
    until_parked(second)
