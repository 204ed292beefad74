"""A lock is handed over locked, as a latch, and the thread that was to open it has ended with an error."""

import contextlib
import threading

from tests.leaks.corpus import Expected, until_parked

LEAKS = [Expected(kind="thread", proven=True, name="guest", function="enter", blocked_on="Lock")]


def enter(door: threading.Lock) -> None:
    door.acquire()


def open_door(door: threading.Lock, keys: list[str]) -> None:
    with contextlib.suppress(IndexError):
        keys.pop()
        door.release()


def program() -> None:
    door = threading.Lock()
    door.acquire()
    guest = threading.Thread(target=enter, args=(door,), name="guest")
    porter = threading.Thread(target=open_door, args=(door, []), name="porter")
    guest.start()
    porter.start()
    porter.join()
    until_parked(guest)
