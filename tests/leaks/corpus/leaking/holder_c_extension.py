"""Not proven: C code has taken a reference to the event, as an extension with a callback does, and shows it to nobody."""

import ctypes
import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [Expected(kind="thread", proven=False, name="waiter", function="wait_for", blocked_on="Event")]


def wait_for(event: threading.Event) -> None:
    event.wait()


def program() -> None:
    event = threading.Event()
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(event))
    waiter = threading.Thread(target=wait_for, args=(event,), name="waiter")
    waiter.start()
    until_parked(waiter)
