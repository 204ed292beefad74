"""``acquire`` and ``release`` without ``with``: the error in between leaves the lock taken, and its taker is gone.

In Go: a ``return`` on the error path in front of ``mu.Unlock()``.
"""

import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(kind="thread", proven=True, name="second", function="append", blocked_on="Lock", started_at="program")
]


def append(lock: threading.Lock, ledger: list[dict[str, int]], entry: dict[str, int]) -> None:
    lock.acquire()
    try:
        entry["amount"] += 0
    except KeyError:
        return
    ledger.append(entry)
    lock.release()


def program() -> None:
    lock = threading.Lock()
    ledger: list[dict[str, int]] = []
    first = threading.Thread(target=append, args=(lock, ledger, {}), name="first")
    first.start()
    first.join()
    second = threading.Thread(target=append, args=(lock, ledger, {"amount": 1}), name="second")
    second.start()
    until_parked(second)
