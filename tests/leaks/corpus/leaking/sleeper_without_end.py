"""A thread that is no daemon sleeps and works in turn, for ever."""

import threading
import time

from tests.leaks.corpus import Expected, until

LEAKS = [Expected(kind="thread", proven=False, name="refresher", function="refresh", started_at="program")]


def refresh(rounds: list[int]) -> None:
    while True:
        rounds[0] += 1
        time.sleep(0.02)


def program() -> None:
    rounds = [0]
    threading.Thread(target=refresh, args=(rounds,), name="refresher").start()
    until(lambda: rounds[0])
