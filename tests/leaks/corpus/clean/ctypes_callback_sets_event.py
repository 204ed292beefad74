"""C code has a pointer to a callback that sets the event; the module keeps the callback alive, as ctypes demands."""

import ctypes
import threading

from tests.leaks.corpus import until_parked

Callback = ctypes.CFUNCTYPE(None)
CALLBACKS: list[object] = []


def wait_for(event: threading.Event) -> None:
    event.wait()


def program() -> None:
    event = threading.Event()
    CALLBACKS.append(Callback(event.set))
    waiter = threading.Thread(target=wait_for, args=(event,), name="waiter", daemon=True)
    waiter.start()
    until_parked(waiter)
