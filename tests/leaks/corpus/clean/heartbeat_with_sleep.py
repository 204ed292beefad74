"""A daemon writes down the time and sleeps, for ever; it wakes by itself."""

import threading
import time

from tests.leaks.corpus import until


def watch(times: list[float]) -> None:
    while True:
        times.append(time.monotonic())
        time.sleep(0.05)


def program() -> None:
    times: list[float] = []
    threading.Thread(target=watch, args=(times,), name="watch", daemon=True).start()
    until(lambda: times)
