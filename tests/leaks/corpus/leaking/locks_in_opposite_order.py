"""Two threads take two locks in opposite order, and each has got its first.

The AB-BA deadlock, as in many of Go's goker set.
"""

import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(kind="thread", proven=True, name="a-then-b", function="move", blocked_on="Lock"),
    Expected(kind="thread", proven=True, name="b-then-a", function="move", blocked_on="Lock"),
]


def move(first: threading.Lock, second: threading.Lock, both_have_one: threading.Barrier) -> None:
    with first:
        both_have_one.wait()
        with second:
            pass


def program() -> None:
    a, b = threading.Lock(), threading.Lock()
    both_have_one = threading.Barrier(2)
    threads = [
        threading.Thread(target=move, args=(a, b, both_have_one), name="a-then-b"),
        threading.Thread(target=move, args=(b, a, both_have_one), name="b-then-a"),
    ]
    for thread in threads:
        thread.start()
    until_parked(*threads)
