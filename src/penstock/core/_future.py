"""A ``concurrent.futures.Future`` that is cheaper, wakes on cancel, and does not let an exception get lost.

``concurrent.futures.wait`` and ``as_completed`` and ``asyncio.wrap_future`` accept it, as it is a subclass. The base
class makes a ``Condition`` for each future, which is half of what a small job costs; here one is made only if somebody
needs it.
"""

from __future__ import annotations

import _thread
import concurrent.futures
import logging
import threading
from collections.abc import Callable
from concurrent.futures._base import CANCELLED, CANCELLED_AND_NOTIFIED, FINISHED, PENDING, RUNNING
from typing import Any, TypeVar

from penstock.core._parking import ThreadWaiter, wait_for
from penstock.core.cancel import check_cancelled
from penstock.errors import DeadlineExceeded

__all__ = ["Future"]

T = TypeVar("T")
_log = logging.getLogger("penstock.future")
_DONE = frozenset({CANCELLED, CANCELLED_AND_NOTIFIED, FINISHED})


class Future(concurrent.futures.Future[T]):
    """The result of a call that runs in another thread.

    ``result`` and ``exception`` block until it has ended, wake on a cancel or deadline of the current scope, and time
    out with ``DeadlineExceeded``. An exception that nobody has looked at is reported through ``sys.unraisablehook``
    when the future is dropped.
    """

    # Most futures are made, finished and read once. Attributes not needed for that have their defaults in the class.
    _state: str = PENDING
    _result: T | None = None
    _exception: BaseException | None = None
    _waiters: Any = ()
    _done_callbacks: Any = ()
    _parked: Any = ()
    _made_condition: threading.Condition | None = None
    _unobserved: _Unobserved | None = None

    def __init__(self) -> None:
        # The base is not called, because it would make the Condition.
        self._mutex = _thread.allocate_lock()

    @property
    def _condition(self) -> threading.Condition:  # type: ignore[override]
        """The lock that ``concurrent.futures.wait`` and ``as_completed`` wait on; made when first used."""
        with self._mutex:
            if self._made_condition is None:
                self._waiters = []
                self._made_condition = threading.Condition()
            return self._made_condition

    def __repr__(self) -> str:
        outcome = ""
        if self._state == FINISHED:
            outcome = f" raised {type(self._exception).__name__}" if self._exception is not None else " returned"
        return f"<Future {self._state.lower()}{outcome}>"

    # -- looking

    def done(self) -> bool:
        """Whether the call has ended or was cancelled."""
        return self._state in _DONE

    def cancelled(self) -> bool:
        """Whether the call was cancelled, before or while it ran."""
        return self._state in (CANCELLED, CANCELLED_AND_NOTIFIED)

    def running(self) -> bool:
        """Whether the call is running, so that ``cancel`` can no longer prevent it."""
        return self._state == RUNNING

    def result(self, timeout: float | None = None) -> T:
        """Block until the call has ended; return its result, or raise its exception.

        Args:
            timeout: seconds to wait; None for ever.

        Raises:
            DeadlineExceeded: the call has not ended in time; it keeps running.
            concurrent.futures.CancelledError: the call was cancelled.
            Cancelled: the current scope was cancelled.
        """
        exc = self._exception if self._state == FINISHED else self.exception(timeout)
        if exc is not None:
            self.observe()
            try:
                raise exc
            finally:
                del exc, self  # the traceback of exc refers to this frame, and it to exc
        return self._result  # type: ignore[return-value]

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Do what ``result`` does, but return the call's exception; None if it raised none."""
        if self._state not in _DONE:
            self._wait(timeout)
        if self._state != FINISHED:
            check_cancelled()  # if the same cancel has hit the caller too, the caller raises its own Cancelled
            raise concurrent.futures.CancelledError
        self.observe()
        return self._exception

    def observe(self) -> None:
        """Note that somebody knows how the call ended, so that its exception is not reported as unseen."""
        if self._unobserved is not None:
            self._unobserved.exception = None
            self._unobserved = None

    def add_done_callback(self, fn: Callable[[concurrent.futures.Future[T]], object]) -> None:
        """Call ``fn(self)`` when the call has ended, in the thread that ends it; at once if it has ended already."""
        with self._mutex:
            if self._state not in _DONE:
                self._done_callbacks = [*self._done_callbacks, fn]
                return
        self._call_back(fn)

    def _wait(self, timeout: float | None) -> None:
        waiter = ThreadWaiter()
        with self._mutex:
            if self._state in _DONE:
                return
            self._parked = [*self._parked, waiter]
        if not wait_for(waiter, timeout):
            raise DeadlineExceeded(f"not done within {timeout:g} s")

    # -- for whoever runs the call

    def set_running_or_notify_cancel(self) -> bool:
        """Mark the call as running; return False if it was cancelled and must not run."""
        with self._mutex:
            if self._state == PENDING:
                self._state = RUNNING
                return True
            if self._state != CANCELLED:
                raise concurrent.futures.InvalidStateError(f"{self._state}: {self!r}")
            self._state = CANCELLED_AND_NOTIFIED
        self._tell("add_cancelled")
        return False

    def cancel(self) -> bool:
        """Cancel the call if it has not started; return whether it is cancelled."""
        with self._mutex:
            if self._state in (RUNNING, FINISHED):
                return False
            if self._state != PENDING:
                return True
            self._state = CANCELLED
        self._tell(None)
        self._run_callbacks()
        return True

    def set_cancelled(self) -> None:
        """End the call as cancelled although it had started: the scope it ran under was cancelled."""
        self._finish(CANCELLED_AND_NOTIFIED, None, None, "add_cancelled")

    def set_result(self, result: T) -> None:
        """End the call with ``result``."""
        self._finish(FINISHED, result, None, "add_result")

    def set_exception(self, exception: BaseException | None) -> None:
        """End the call with ``exception``."""
        if exception is not None:
            self._unobserved = _Unobserved(exception)
        self._finish(FINISHED, None, exception, "add_exception")

    def _finish(self, state: str, result: T | None, exception: BaseException | None, note: str) -> None:
        with self._mutex:
            if self._state in _DONE:
                raise concurrent.futures.InvalidStateError(f"{self._state}: {self!r}")
            self._result = result
            self._exception = exception
            self._state = state
        if self._parked or self._made_condition is not None:
            self._tell(note)
        if self._done_callbacks:
            self._run_callbacks()

    def _tell(self, note: str | None) -> None:
        """Wake our own waiters, and those of ``concurrent.futures``."""
        for waiter in self._parked:
            waiter.done = True
            waiter.wake()
        condition = self._made_condition
        if condition is not None:
            with condition:
                if note is not None:
                    for waiter in self._waiters:
                        getattr(waiter, note)(self)
                condition.notify_all()

    def _run_callbacks(self) -> None:
        callbacks, self._done_callbacks = self._done_callbacks, ()
        for callback in callbacks:
            self._call_back(callback)

    def _call_back(self, callback: Callable[[concurrent.futures.Future[T]], object]) -> None:
        self.observe()  # from here on, looking at the outcome is up to the callback
        try:
            callback(self)
        except Exception:  # noqa: BLE001  as concurrent.futures: a callback must not harm whoever ends the future
            _log.exception("done callback %r of %r failed", callback, self)


class _Unobserved:
    """Lives as long as the future it belongs to, and reports the exception when that future is dropped.

    It is a separate object, so that the many futures that return normally need no finalizer.
    """

    __slots__ = ("exception",)

    def __init__(self, exception: BaseException) -> None:
        self.exception: BaseException | None = exception

    def __del__(self) -> None:
        # Raising in a finalizer is how the interpreter is told of an error nobody can catch: it calls
        # sys.unraisablehook with the whole traceback, which prints it, or lets pytest fail the test.
        if self.exception is not None:
            raise self.exception
