"""Cancel scopes and their deadlines.

A scope covers a ``with`` block and, through :mod:`contextvars`, everything penstock starts inside it. When it is
cancelled, or its deadline passes, every penstock wait under it wakes, in whichever thread, and raises
:class:`~penstock.errors.Cancelled`. The scope that was cancelled catches that when its block is left.

Nothing in this file waits for a lock. ``cancel()`` may be called from a signal handler that has interrupted any line
of code, which may be holding that very lock. Instead, whoever registers (a waiter, a child scope, a callback) first
adds itself and *then* looks at the flag, while ``cancel()`` first sets the flag and *then* looks at who is registered:
one of the two always sees the other. Adding to, removing from and listing a dict whose keys hash by identity are single
steps of the interpreter.
"""

from __future__ import annotations

import _thread
import math
from contextvars import ContextVar, Token
from time import monotonic
from types import TracebackType
from typing import Protocol, TypeVar

from penstock.core.cancel._alarm import Alarm
from penstock.errors import Cancelled, DeadlineExceeded

__all__ = [
    "CancelScope",
    "check_cancelled",
    "current_deadline",
    "current_scope",
    "fail_after",
    "leave",
    "move_on_after",
    "scope_under",
]

_current: ContextVar[CancelScope | None] = ContextVar("penstock_cancel_scope", default=None)
_Self = TypeVar("_Self", bound="CancelScope")


class Wakeable(Protocol):
    """Something parked under a scope. ``wake`` must be safe from any thread and any signal handler."""

    def wake(self) -> None:
        """Make it look at its scope again; does nothing if it is not parked."""
        ...


class Interruption(Protocol):
    """A callback that ``on_cancel`` has registered. ``fire`` is safe from any thread and any signal handler."""

    def fire(self) -> None:
        """Start the callback, unless it has been started or disarmed."""
        ...


class CancelScope:
    """A block of work that can be told to stop from anywhere.

    Use it as a context manager, once. When it is cancelled, penstock's waits inside raise ``Cancelled`` at once, and
    the scope catches that when the block is left. Code that does not wait through penstock is not interrupted; see
    :func:`penstock.check_cancelled` and :func:`penstock.on_cancel`.

    Scopes nest: a cancelled scope cancels those inside it, unless they are shielded. Threads started by penstock, and
    tasks started by asyncio or trio, inherit the scope they were started in.

    Args:
        timeout: seconds from entering until the scope cancels itself; None for no limit.
        shield: ignore cancels and deadlines of outer scopes, for clean-up that has to wait.

    Attributes:
        deadline: when the scope cancels itself, on the clock of ``time.monotonic``; ``math.inf`` for never. It can be
            set at any time, also for waits that are under way.
        cancel_called: whether ``cancel`` was called, or the deadline has passed and been noticed.
        cancelled_caught: whether a ``Cancelled`` of this scope ended the block. False if the work was done before it
            noticed.
        reason: what the first ``cancel`` was given; a ``DeadlineExceeded`` after a deadline.

    Raises:
        ValueError: ``timeout`` is NaN.
        RuntimeError: on entering, if the scope was entered before.
    """

    __slots__ = (
        "__weakref__",
        "_alarm",
        "_alarm_claim",
        "_alert",
        "_callbacks",
        "_children",
        "_deadline",
        "_effective_deadline",
        "_expired",
        "_interrupted",
        "_once",
        "_parent",
        "_shield",
        "_timeout",
        "_token",
        "_waiters",
        "cancel_called",
        "cancelled_caught",
        "reason",
    )

    def __init__(self, *, timeout: float | None = None, shield: bool = False) -> None:
        if timeout is not None and math.isnan(timeout):
            raise ValueError("timeout must be a number of seconds, not NaN")
        self._timeout = timeout
        self._shield = shield
        self._deadline = math.inf if timeout is None else monotonic() + timeout
        self._effective_deadline = self._deadline
        self._parent: CancelScope | None = None
        self._children: dict[CancelScope, None] = {}
        self._waiters: dict[Wakeable, None] = {}
        self._callbacks: dict[Interruption, None] = {}
        self._once = _thread.allocate_lock()  # taken by the first cancel(), without waiting, and never given back
        self._token: Token[CancelScope | None] | None = None
        self._alarm: Alarm | None = None
        self._alarm_claim = _thread.allocate_lock()  # likewise, so that the alarm is started only once
        self._interrupted = False  # cancelled itself, or through an outer scope that it is not shielded from
        self._alert = self._deadline != math.inf  # whether operations have to call _check; False keeps them fast
        self._expired = False
        self.cancel_called = False
        self.cancelled_caught = False
        self.reason: object = None

    def __repr__(self) -> str:
        state = "cancelled" if self.cancel_called else "active" if self._token is not None else "not entered"
        left = "" if self._deadline == math.inf else f", {self._deadline - monotonic():.3f} s left"
        return f"<CancelScope {state}{left}{', shielded' if self._shield else ''}>"

    @property
    def shield(self) -> bool:
        """Whether this scope ignores cancels and deadlines of outer scopes."""
        return self._shield

    @property
    def deadline(self) -> float:
        """When the scope cancels itself, on the clock of ``time.monotonic``; ``math.inf`` for never."""
        return self._deadline

    @deadline.setter
    def deadline(self, value: float) -> None:
        if math.isnan(value):
            raise ValueError("deadline must be a time, not NaN")
        self._deadline = value
        self._timeout = None
        self._inherit_deadline()
        if self._alarm is not None:
            self._alarm.wake()

    def cancel(self, reason: object = None) -> None:
        """Cancel everything under this scope. Never blocks; safe from any thread and from signal handlers.

        The first call counts; later ones do nothing. If called before the scope is entered, the first wait inside
        raises.

        Args:
            reason: any object, kept in ``reason`` here and on the ``Cancelled`` that waits raise.
        """
        if not self._once.acquire(blocking=False):
            return
        self.reason = reason
        self.cancel_called = True
        _interrupt(self)

    def __enter__(self: _Self) -> _Self:
        if self._token is not None:
            raise RuntimeError("a CancelScope covers one block; make a new one")
        if self._timeout is not None:
            self._deadline = monotonic() + self._timeout
        parent = self._parent = _current.get()
        self._token = _current.set(self)
        if parent is not None:
            parent._children[self] = None
        self._inherit_deadline()
        if parent is not None and parent._interrupted and not self._shield:
            _interrupt(self)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        _current.set(self._parent)
        if self._parent is not None:
            self._parent._children.pop(self, None)
        if self._alarm is not None:
            self._alarm.end()
        if exc is None or not self._catches():
            return False
        if isinstance(exc, Cancelled):
            self.cancelled_caught = True
            return True
        if isinstance(exc, BaseExceptionGroup):
            return self._catch_from_group(exc)
        return False

    def _catches(self) -> bool:
        """Whether this scope catches ``Cancelled``. If an outer scope is cancelled too, it propagates to that one."""
        outer_too = self._parent is not None and self._parent._interrupted and not self._shield
        return self.cancel_called and not outer_too

    def _catch_from_group(self, group: BaseExceptionGroup[BaseException]) -> bool:
        cancelled, rest = group.split(Cancelled)
        if cancelled is None:
            return False
        self.cancelled_caught = True
        if rest is None:
            return True
        context = rest.__context__
        try:
            raise rest
        finally:
            rest.__context__ = context  # `raise` has chained it to the very group it was split from

    def _inherit_deadline(self) -> None:
        """Recompute the nearest deadline that applies, here and in inner scopes, and make parked waits look at it."""
        outer = self._parent._effective_deadline if self._parent is not None and not self._shield else math.inf
        self._effective_deadline = min(self._deadline, outer)
        self._alert = self._effective_deadline != math.inf
        if self._interrupted:  # checked after the store above, which could otherwise undo that of a concurrent cancel
            self._alert = True
        if self._callbacks and self._alert:
            self._watch_deadlines()
        for waiter in list(self._waiters):
            waiter.wake()
        for child in list(self._children):
            child._inherit_deadline()

    def _check(self) -> None:
        """Raise if this scope is cancelled or a deadline that applies to it has passed."""
        if not self._interrupted and monotonic() >= self._effective_deadline:
            self._expire()
        if self._interrupted:
            raise self._cancelled()

    def _expire(self) -> None:
        """Cancel every scope from here outwards whose own deadline has passed."""
        now = monotonic()
        scope: CancelScope | None = self
        while scope is not None:
            if scope._deadline <= now and not scope.cancel_called:
                scope._expired = True
                scope.cancel(scope._overdue())
            scope = None if scope._shield else scope._parent

    def _overdue(self) -> DeadlineExceeded:
        return DeadlineExceeded("deadline passed" if self._timeout is None else f"not done within {self._timeout:g} s")

    def _cancelled(self) -> Cancelled:
        scope: CancelScope | None = self
        while scope is not None:
            if scope.cancel_called:
                return Cancelled(scope.reason)
            scope = None if scope._shield else scope._parent
        return Cancelled()

    def _watch_deadlines(self) -> None:
        """Make the deadlines that apply here fire by themselves, for calls whose waiting penstock cannot limit."""
        scope: CancelScope | None = self
        while scope is not None:
            if scope._deadline != math.inf and scope._alarm_claim.acquire(blocking=False):
                scope._alarm = Alarm(scope)
            scope = None if scope._shield else scope._parent


def _interrupt(scope: CancelScope) -> None:
    """Mark ``scope`` and those inside it as interrupted, wake what is parked there, and start the callbacks."""
    pending = [scope]
    while pending:
        here = pending.pop()
        here._interrupted = here._alert = True
        for waiter in list(here._waiters):
            waiter.wake()
        for callback in list(here._callbacks):
            callback.fire()
        pending.extend(child for child in list(here._children) if not (child._shield or child._interrupted))


class _FailAfter(CancelScope):
    """A scope that raises ``DeadlineExceeded`` if its own deadline has ended the block."""

    __slots__ = ()

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        caught = super().__exit__(exc_type, exc, traceback)
        if caught and self._expired:
            raise self._overdue() from exc
        return caught


def scope_under(parent: CancelScope | None) -> CancelScope:
    """Make a scope inside ``parent`` without entering it, for work that runs in another thread.

    Call :func:`leave` when that work has ended.
    """
    scope = CancelScope()
    scope._parent = parent
    if parent is not None:
        parent._children[scope] = None
        scope._inherit_deadline()
        if parent._interrupted:
            _interrupt(scope)
    return scope


def leave(scope: CancelScope) -> None:
    """Detach a scope made by :func:`scope_under` from its parent, and end its alarm."""
    if scope._parent is not None:
        scope._parent._children.pop(scope, None)
    if scope._alarm is not None:
        scope._alarm.end()


def current_scope() -> CancelScope | None:
    """Return the innermost scope of the running thread or task, or None."""
    return _current.get()


def current_deadline() -> float:
    """Return the nearest deadline that applies to the running code, on the clock of ``time.monotonic``.

    ``math.inf`` if there is none; ``-math.inf`` if the current scope is cancelled already.
    """
    scope = _current.get()
    if scope is None:
        return math.inf
    return -math.inf if scope._interrupted else scope._effective_deadline


def check_cancelled() -> None:
    """Raise ``Cancelled`` if the current scope is cancelled or past its deadline. For loops that never wait."""
    scope = _current.get()
    if scope is not None and scope._alert:
        scope._check()


def move_on_after(seconds: float | None) -> CancelScope:
    """Return a :class:`CancelScope` whose block is ended quietly after ``seconds``; None for no limit.

    Its ``cancelled_caught`` says afterwards whether that has happened.
    """
    return CancelScope(timeout=seconds)


def fail_after(seconds: float | None) -> CancelScope:
    """Return a :class:`CancelScope` that raises ``DeadlineExceeded`` (a ``TimeoutError``) after ``seconds``.

    A block that runs to its end raises nothing, even if it ended late: finished work is not thrown away. ``None`` means
    no limit.
    """
    return _FailAfter(timeout=seconds)
