"""``concurrent.futures.wait`` without a timeout, on a future whose owner has gone."""

import threading
from concurrent.futures import Future, wait

from tests.leaks.corpus import Expected, until_parked

LEAKS = [Expected(kind="thread", proven=True, name="waiter", function="finish", blocked_on="concurrent.futures")]


def finish(futures: set[Future[None]]) -> int:
    done, _ = wait(futures)
    return len(done)


def program() -> None:
    waiter = threading.Thread(target=finish, args=({Future()},), name="waiter")
    waiter.start()
    until_parked(waiter)
