"""Not proven: the lock belongs to a thread that sleeps inside its ``with`` block and will leave it."""

import threading
import time

from tests.leaks.corpus import Expected, until_parked

LEAKS = [Expected(kind="thread", proven=False, name="waiter", function="enter", blocked_on="Lock")]


def sleep_inside(lock: threading.Lock, inside: threading.Event) -> None:
    with lock:
        inside.set()
        while threading.main_thread().is_alive():
            time.sleep(0.02)


def enter(lock: threading.Lock) -> None:
    with lock:
        pass


def program() -> None:
    lock = threading.Lock()
    inside = threading.Event()
    threading.Thread(target=sleep_inside, args=(lock, inside), name="sleeper", daemon=True).start()
    inside.wait()
    waiter = threading.Thread(target=enter, args=(lock,), name="waiter")
    waiter.start()
    until_parked(waiter)
