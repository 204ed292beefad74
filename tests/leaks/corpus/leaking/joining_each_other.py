"""Two threads each wait for the other to end."""

import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(kind="thread", proven=True, name="left", function="end_after", blocked_on="join"),
    Expected(kind="thread", proven=True, name="right", function="end_after", blocked_on="join"),
]


def end_after(other: list[threading.Thread], started: threading.Event) -> None:
    started.wait()
    other[0].join()


def program() -> None:
    of_left: list[threading.Thread] = []
    started = threading.Event()
    left = threading.Thread(target=end_after, args=(of_left, started), name="left", daemon=True)
    right = threading.Thread(target=end_after, args=([left], started), name="right", daemon=True)
    of_left.append(right)
    left.start()
    right.start()
    started.set()
    until_parked(left, right)
