"""The signal was given before anybody waited for it, and a condition does not remember.

Go's goker set has several of these on ``sync.Cond``: ``Signal`` runs before ``Wait``, once.
"""

import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(kind="thread", proven=True, name="late", function="wait_until_ready", blocked_on="Condition", fix="notify")
]


def signal(ready: threading.Condition) -> None:
    with ready:
        ready.notify_all()


def wait_until_ready(ready: threading.Condition) -> None:
    with ready:
        ready.wait()


def program() -> None:
    ready = threading.Condition()
    early = threading.Thread(target=signal, args=(ready,), name="early")
    early.start()
    early.join()
    late = threading.Thread(target=wait_until_ready, args=(ready,), name="late")
    late.start()
    until_parked(late)
