"""Not proven: as with any replaced lock; here both are in the hands of ``with`` blocks, and of no variable."""

import threading
import time

from tests.leaks.corpus import Expected, until, until_parked

LEAKS = [Expected(kind="thread", proven=False, name="waiter", function="enter")]


class Service:
    def __init__(self) -> None:
        self.lock = threading.Lock()

    def enter(self) -> None:
        with self.lock:
            pass

    def replace(self) -> threading.Lock:
        self.lock = threading.Lock()
        return self.lock


def keep(services: list[Service], replace: threading.Event) -> None:
    with services[0].lock:
        replace.wait()
        with services.pop().replace():
            while threading.main_thread().is_alive():
                time.sleep(0.02)


def program() -> None:
    services = [Service()]
    service, lock = services[0], services[0].lock
    replace = threading.Event()
    threading.Thread(target=keep, args=(services, replace), name="keeper", daemon=True).start()
    until(lock.locked)
    waiter = threading.Thread(target=service.enter, name="waiter")
    waiter.start()
    until_parked(waiter)
    replace.set()
    until(lambda: not services)
    until_parked(waiter)
