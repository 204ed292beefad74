"""Not proven: a started thread has not yet called its target, which sets the event; its ``run`` sleeps first."""

import threading
import time

from tests.leaks.corpus import Expected, until_parked

LEAKS = [Expected(kind="thread", proven=False, name="waiter", function="wait_for", blocked_on="Event")]


class Delayed(threading.Thread):
    def run(self) -> None:
        while threading.main_thread().is_alive():
            time.sleep(0.02)
        super().run()


def wait_for(event: threading.Event) -> None:
    event.wait()


def program() -> None:
    event = threading.Event()
    Delayed(target=event.set, name="delayed", daemon=True).start()
    waiter = threading.Thread(target=wait_for, args=(event,), name="waiter")
    waiter.start()
    until_parked(waiter)
