"""Not proven: C code has the address of a callback that sets the event; the waiting function keeps it alive itself.

That is what ``ctypes`` asks for: keep the callback object for as long as C may call it. No reference leads from C to it.
"""

import ctypes
import signal
import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [Expected(kind="thread", proven=False, name="waiter", function="wait_for_device", blocked_on="Event")]

Handler = ctypes.CFUNCTYPE(None, ctypes.c_int)


def wait_for_device() -> None:
    ready = threading.Event()

    @Handler
    def on_ready(number: int) -> None:
        ready.set()

    ctypes.CDLL(None).signal(int(signal.SIGUSR2), on_ready)
    ready.wait()


def program() -> None:
    waiter = threading.Thread(target=wait_for_device, name="waiter")
    waiter.start()
    until_parked(waiter)
