"""Make a deadline fire on time although no wait of penstock's is there to notice it. Used for ``on_cancel``."""

from __future__ import annotations

import _thread
import threading
from time import monotonic
from typing import Protocol

__all__ = ["Alarm"]


class Expiring(Protocol):
    """A scope, as far as the alarm needs to know it."""

    _deadline: float

    def _expire(self) -> None:
        """Cancel the scope, as its deadline has passed."""
        ...


class Alarm:
    """A thread that cancels a scope when its deadline passes.

    Waits of penstock's end at the deadline by themselves, so this thread is started only for the first ``on_cancel``
    under a scope with a deadline. It ends when the deadline has passed, or with the scope.
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
        """Stop the thread and wait until it has gone."""
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
