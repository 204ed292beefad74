"""``on_cancel``: interrupt a blocking call of another library when the scope it runs under is cancelled."""

from __future__ import annotations

import _thread
import logging
import math
import sys
import threading
from collections.abc import Callable
from types import TracebackType

from penstock.core.cancel._scope import CancelScope, _current

__all__ = ["on_cancel"]

_log = logging.getLogger("penstock.cancel")


def on_cancel(callback: Callable[[], object]) -> _OnCancel:
    """Interrupt a blocking call of another library when the current scope is cancelled or its deadline passes.

    A context manager around the call::

        with on_cancel(connection.cancel):
            cursor.execute(...)

    The callback runs at most once, in a short-lived thread of its own, while the block runs. Leaving the block waits
    for a callback that has begun, so it never hits the next user of the connection. If it has run and the block fails
    with an ordinary exception, the block raises ``Cancelled`` from that exception. If the block succeeds in spite of
    it, nothing is raised. Without a current scope the callback never runs.

    Args:
        callback: makes the call return or raise soon; takes no arguments. If it raises, that is logged to
            ``penstock.cancel``.

    Raises:
        Cancelled: on entering, if the scope is cancelled already.
    """
    return _OnCancel(callback)


class _OnCancel:
    __slots__ = ("_callback", "_claim", "_finished", "_scope")

    def __init__(self, callback: Callable[[], object]) -> None:
        self._callback = callback
        self._scope: CancelScope | None = None
        self._claim = _thread.allocate_lock()  # whoever takes it decides: run the callback, or never run it
        self._finished = _thread.allocate_lock()

    def __enter__(self) -> None:
        scope = self._scope = _current.get()
        if scope is None:
            return
        if scope._alert:
            scope._check()
        self._finished.acquire()
        scope._callbacks[self] = None
        if scope._effective_deadline != math.inf:
            scope._watch_deadlines()
        if scope._interrupted:  # between the check and the registration
            self._disarm(scope)
            raise scope._cancelled()

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        scope = self._scope
        if scope is not None and self._disarm(scope) and isinstance(exc, Exception):
            raise scope._cancelled() from exc

    def _disarm(self, scope: CancelScope) -> bool:
        """Make sure the callback does not run from here on; return whether it has run."""
        scope._callbacks.pop(self, None)
        if self._claim.acquire(blocking=False):
            return False
        self._finished.acquire()
        return True

    def fire(self) -> None:
        if not self._claim.acquire(blocking=False):
            return
        try:
            _thread.start_new_thread(self._run, ())
        except RuntimeError:  # no thread can be started (limits, interpreter exit): better in this one than never
            self._run()

    def _run(self) -> None:
        try:
            self._callback()
        except Exception:  # noqa: BLE001  there is no caller who could catch it
            _log.warning("on_cancel callback %r failed", self._callback, exc_info=True)
        finally:
            _forget_dummy_thread()
            self._finished.release()


def _forget_dummy_thread() -> None:
    """Remove the dummy that ``threading`` has made for this raw thread; CPython 3.13 does so itself.

    The thread is a raw one because ``Thread.start`` takes locks, which the code that a signal handler has interrupted
    may be holding.
    """
    if sys.version_info < (3, 13):
        ident = _thread.get_ident()
        if isinstance(threading._active.get(ident), threading._DummyThread):  # type: ignore[attr-defined]
            threading._active.pop(ident, None)  # type: ignore[attr-defined]
