"""A permit is taken and lost with the exception that follows; the next who asks for it waits for ever."""

import contextlib
import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(
        kind="thread",
        proven=True,
        name="second",
        function="fetch",
        blocked_on="Semaphore",
        created_at="program",
        fix="release",
    )
]


def fetch(permits: threading.Semaphore, address: str) -> int:
    permits.acquire()
    body = len(address) // address.count("/")
    permits.release()
    return body


def program() -> None:
    permits = threading.Semaphore(1)
    with contextlib.suppress(ZeroDivisionError):
        fetch(permits, "no address")
    second = threading.Thread(target=fetch, args=(permits, "a/b"), name="second")
    second.start()
    until_parked(second)
