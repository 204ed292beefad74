"""Own a thread: start it in the caller's context, wait for its end, and log it if it does not stop when cancelled."""

from __future__ import annotations

import logging
import math
import sys
import threading
import traceback
from collections.abc import Callable
from contextvars import Context, copy_context
from time import monotonic

from penstock.core._future import Future
from penstock.core._last_wait import is_in_last_wait
from penstock.core._parking import ThreadWaiter
from penstock.core.cancel import CancelScope, _current
from penstock.errors import Cancelled

__all__ = ["OwnedThread", "context_under", "report_stuck", "stack_of", "uncancelled", "wait_for_end"]

_log = logging.getLogger("penstock.threads")
_FIRST_REPORT_SECONDS = 2.0
_REPORT_GROWTH = 4


def context_under(scope: CancelScope | None) -> Context:
    """Return a copy of the current context in which ``scope`` is the current scope."""
    context = copy_context()
    context.run(_current.set, scope)
    return context


class uncancelled:  # noqa: N801  reads as a word where it is used: `with uncancelled(): thread.join()`
    """A block in which penstock's waits are not cancelled by any scope, for waiting until others have ended."""

    __slots__ = ("_scope",)

    def __enter__(self) -> None:
        self._scope = _current.get()
        _current.set(None)

    def __exit__(self, *exc_info: object) -> None:
        _current.set(self._scope)


def stack_of(thread: threading.Thread) -> str:
    """Return where ``thread`` is now, as traceback text; empty when it has ended."""
    frame = sys._current_frames().get(thread.ident or -1)
    return "".join(traceback.format_stack(frame)) if frame is not None else ""


def wait_for_end(
    ended: ThreadWaiter, scope: CancelScope, report: Callable[[float], object], grace: float = math.inf
) -> bool:
    """Wait until ``ended.done``, even if the caller's own scope is cancelled; return False after ``grace`` seconds.

    Args:
        ended: what is woken when the thread or threads waited for have ended.
        scope: the scope they run under.
        report: called with the seconds since ``scope`` was cancelled, after 2 s, 8 s, 32 s and so on.
        grace: seconds to wait, counted from the moment ``scope`` is cancelled.
    """
    cancelled_at = math.inf
    report_after = _FIRST_REPORT_SECONDS
    with uncancelled():
        while not ended.done:
            now = monotonic()
            if cancelled_at == math.inf and (scope._interrupted or now >= scope._effective_deadline):
                scope._expire()
                cancelled_at = now
            waited = now - cancelled_at
            if waited >= grace:
                return False
            if waited >= report_after:
                report(waited)
                report_after *= _REPORT_GROWTH
            if cancelled_at != math.inf:
                ended.park(cancelled_at + min(report_after, grace))
                continue
            scope._waiters[ended] = None  # so that a cancel wakes this wait, without ending it
            try:
                if not scope._interrupted:
                    ended.park(scope._effective_deadline)
            finally:
                scope._waiters.pop(ended, None)
    return True


class OwnedThread:
    """A daemon thread that runs one call under a scope and keeps its outcome in ``future``.

    It is a daemon so that it does not keep the interpreter from exiting once its owner has given it up. Otherwise its
    owner always waits for it.
    """

    def __init__(
        self,
        call: Callable[[], object],
        scope: CancelScope,
        name: str,
        on_end: Callable[[OwnedThread], object] | None = None,
    ) -> None:
        self.future: Future[object] = Future()
        self.scope = scope
        self.name = name
        self._call: Callable[[], object] | None = call
        self._on_end = on_end
        self._waiter = ThreadWaiter()
        context = context_under(scope)
        self.thread = threading.Thread(target=context.run, args=(self._run,), name=name, daemon=True)

    def start(self) -> None:
        """Start the thread.

        Raises:
            RuntimeError: the system gives no more threads.
        """
        self.thread.start()

    def _run(self) -> None:
        call, self._call = self._call, None
        self.future.set_running_or_notify_cancel()
        try:
            result = call()  # type: ignore[misc]
        except Cancelled:
            self.future.set_cancelled()
        except BaseException as exc:  # noqa: BLE001  kept for the owner, who raises it
            self.future.set_exception(exc)
        else:
            self.future.set_result(result)
        finally:
            del call  # what the call holds must not live on in this frame while on_end runs
            if self._on_end is not None:
                self._on_end(self)
            self._waiter.done = True
            self._waiter.wake()
            del self  # the traceback of an exception keeps this frame, and the future the exception

    def join(self, grace: float = math.inf) -> bool:
        """Wait until the thread has ended, even if the caller's own scope is cancelled; False after ``grace`` seconds.

        ``grace`` counts from the moment the thread's scope is cancelled. A thread that was cancelled and does not end
        is logged to ``penstock.threads`` with its stack, after 2 s and then ever more rarely.
        """
        if not wait_for_end(self._waiter, self.scope, self._report, grace):
            return False
        self.thread.join()
        return True

    def _report(self, seconds: float) -> None:
        report_stuck(self.thread, seconds)


def report_stuck(thread: threading.Thread, seconds: float) -> None:
    """Log to ``penstock.threads`` that ``thread`` was cancelled and has not ended, and where it is.

    As a warning, unless the thread is cleaning up and logs that itself.
    """
    _log.log(
        logging.INFO if is_in_last_wait(thread) else logging.WARNING,
        "thread %r was cancelled %.0f s ago and has not ended\ninterrupt its call with penstock.on_cancel; it is here:\n%s",
        thread.name,
        seconds,
        stack_of(thread),
    )
