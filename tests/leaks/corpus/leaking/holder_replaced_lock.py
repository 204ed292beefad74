"""Not proven: the lock the thread waits for has been replaced in its object, and who holds the old one is alive.

What ``self.lock`` is now tells nothing about what it was when the wait began.
"""

import threading
import time

from tests.leaks.corpus import Expected, until_parked

LEAKS = [Expected(kind="thread", proven=False, name="waiter", function="enter")]


class Service:
    def __init__(self) -> None:
        self.lock = threading.Lock()

    def enter(self) -> None:
        self.lock.acquire()


def keep(services: list[Service], locked: threading.Event, replace: threading.Event) -> None:
    service = services.pop()
    old = service.lock
    old.acquire()
    locked.set()
    replace.wait()
    new = threading.Lock()
    new.acquire()
    service.lock = new
    del service
    locked.clear()
    while threading.main_thread().is_alive():
        time.sleep(0.02)
    new.release()
    old.release()


def program() -> None:
    service = Service()
    locked, replace = threading.Event(), threading.Event()
    threading.Thread(target=keep, args=([service], locked, replace), name="keeper", daemon=True).start()
    locked.wait()
    waiter = threading.Thread(target=service.enter, name="waiter")
    waiter.start()
    until_parked(waiter)
    replace.set()
    until_parked(waiter)
