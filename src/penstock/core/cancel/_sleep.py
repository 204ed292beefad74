"""``sleep``: block for some time, or until the current scope is cancelled."""

from __future__ import annotations

import _thread
import threading
import time
from time import monotonic

from penstock.core.cancel._scope import _current

__all__ = ["sleep"]


class _Sleeper:
    """The simplest thing a scope can wake. Waits for anything but time use ``core/_parking.py``, a layer above."""

    __slots__ = ("_bell",)

    def __init__(self) -> None:
        self._bell = _thread.allocate_lock()
        self._bell.acquire()

    def wake(self) -> None:
        try:
            self._bell.release()
        except RuntimeError:
            return  # already ringing

    def rest(self, seconds: float) -> None:
        self._bell.acquire(timeout=max(0.0, min(seconds, threading.TIMEOUT_MAX)))


def sleep(seconds: float) -> None:
    """Block the calling thread for ``seconds``, or until the current scope is cancelled or its deadline passes.

    Args:
        seconds: how long; ``math.inf`` sleeps until cancelled.

    Raises:
        Cancelled: the current scope was cancelled, before the call or during it.
        ValueError: ``seconds`` is negative or NaN.
    """
    if not seconds >= 0:
        raise ValueError(f"sleep length must be non-negative, not {seconds!r}")
    scope = _current.get()
    if scope is None:
        time.sleep(min(seconds, threading.TIMEOUT_MAX))
        return
    until = monotonic() + seconds
    sleeper = _Sleeper()
    scope._waiters[sleeper] = None
    try:
        scope._check()
        while (now := monotonic()) < until:
            sleeper.rest(min(until, scope._effective_deadline) - now)
            scope._check()
    finally:
        scope._waiters.pop(sleeper, None)
