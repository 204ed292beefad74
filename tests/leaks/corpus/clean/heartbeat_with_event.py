"""A daemon beats every 50 ms until it is told to stop; it wakes by itself."""

import threading

from tests.leaks.corpus import until


class Heartbeat:
    def __init__(self) -> None:
        self.beats = 0
        self._stop = threading.Event()
        threading.Thread(target=self._run, name="heartbeat", daemon=True).start()

    def _run(self) -> None:
        while not self._stop.wait(0.05):
            self.beats += 1


def program() -> None:
    heartbeat = Heartbeat()
    until(lambda: heartbeat.beats)
