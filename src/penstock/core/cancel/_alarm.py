"""Make a deadline fire though nobody penstock knows of waits for it."""

from __future__ import annotations

import _thread
import threading
from time import monotonic
from typing import Protocol

__all__ = ["Alarm"]


class Expiring(Protocol):
    """What has a deadline."""

    _deadline: float

    def _expire(self) -> None:
        """Act on the deadline, which has passed."""
        ...


class Alarm:
    """Cancels a scope when its deadline passes though nobody is parked under it.

    Parked threads bound their own waits, so this thread exists only while a scope with a deadline holds an
    ``on_cancel``; it ends with the scope.
    """

    __slots__ = ("_bell", "_ended", "_over", "_scope")

    def __init__(self, scope: Expiring) -> None:
        self._scope = scope
        self._over = False
        self._bell = _thread.allocate_lock()
        self._bell.acquire()
        self._ended = _thread.allocate_lock()
        self._ended.acquire()
        _thread.start_new_thread(self._run, ())

    def wake(self) -> None:
        try:
            self._bell.release()
        except RuntimeError:
            return  # already ringing

    def end(self) -> None:
        """Stop and wait until the thread has gone."""
        self._over = True
        self.wake()
        self._ended.acquire()

    def _run(self) -> None:
        try:
            while not self._over:
                remaining = self._scope._deadline - monotonic()
                if remaining <= 0:
                    self._scope._expire()
                    return
                self._bell.acquire(timeout=min(remaining, threading.TIMEOUT_MAX))
        finally:
            self._ended.release()
