"""Not proven: each of these waits has a timeout, though none of them says so at first sight."""

import functools
import queue
import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [
    Expected(kind="thread", proven=False, name="arguments"),
    Expected(kind="thread", proven=False, name="keywords"),
    Expected(kind="thread", proven=False, name="partial"),
    Expected(kind="thread", proven=False, name="variable"),
    Expected(kind="thread", proven=False, name="target"),
    Expected(kind="thread", proven=False, name="simple queue"),
    Expected(kind="thread", proven=False, name="subclass"),
]


def with_arguments(lock: threading.Lock, arguments: tuple[bool, float]) -> None:
    lock.acquire(*arguments)


def with_keywords(lock: threading.Lock, arguments: dict[str, float]) -> None:
    lock.acquire(**arguments)


def with_partial(lock: threading.Lock) -> None:
    functools.partial(lock.acquire, True, 3600)()


def with_variable(lock: threading.Lock) -> None:
    acquire, seconds = lock.acquire, 3600
    acquire(True, seconds)


def with_simple_queue(inbox: queue.SimpleQueue[str], seconds: float) -> None:
    inbox.get(True, seconds)


class PatientEvent(threading.Event):
    def wait(self, timeout: float | None = 3600) -> bool:
        return super().wait(timeout)


def locked() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


def program() -> None:
    threads = [
        threading.Thread(target=with_arguments, args=(locked(), (True, 3600)), name="arguments"),
        threading.Thread(target=with_keywords, args=(locked(), {"timeout": 3600}), name="keywords"),
        threading.Thread(target=with_partial, args=(locked(),), name="partial"),
        threading.Thread(target=with_variable, args=(locked(),), name="variable"),
        threading.Thread(target=locked().acquire, args=(True, 3600), name="target"),
        threading.Thread(target=with_simple_queue, args=(queue.SimpleQueue(), 3600), name="simple queue"),
        threading.Thread(target=PatientEvent().wait, name="subclass"),
    ]
    for thread in threads:
        thread.start()
    until_parked(*threads)
