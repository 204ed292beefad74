"""``TaskGroup``: start threads that cannot outlive a ``with`` block, and raise whatever goes wrong in them.

The block is left when every thread started in it has ended, never sooner. So no thread outlives the data it works on,
and no exception gets lost: they are raised together, as an ``ExceptionGroup``.
"""

from __future__ import annotations

import _thread
import functools
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar, cast

from penstock.core._future import Future
from penstock.core._threads import OwnedThread
from penstock.core.cancel import CancelScope
from penstock.errors import Cancelled

__all__ = ["TaskGroup"]

T = TypeVar("T")


class TaskGroup:
    """A group of threads that ends with a ``with`` block. Use it as a context manager, once.

    Leaving the block waits for every child. If a child or the block itself raises, the others are cancelled; so they
    are by a cancel or deadline of an outer scope. Children run under ``cancel_scope``, in a copy of the context they
    were started in. A child that ends with ``Cancelled`` does not count as failed.

    A child that is cancelled and does not end, because it is in a call that penstock cannot interrupt, is waited for
    and logged with its stack to ``penstock.threads``. A second Ctrl-C while waiting gives up waiting.

    Attributes:
        cancel_scope: cancel it to stop the block and all children quietly.

    Raises:
        BaseExceptionGroup: when the block is left: what children and the block raised (an ``ExceptionGroup`` unless
            one of them is no ``Exception``). A ``KeyboardInterrupt`` or ``SystemExit`` of the block is raised alone.
    """

    def __init__(self) -> None:
        self.cancel_scope = CancelScope()
        self._mutex = _thread.allocate_lock()
        self._children: dict[OwnedThread, None] = {}
        self._errors: list[BaseException] = []
        self._cancelled_children = False
        self._open = False
        self._started = 0

    def __enter__(self) -> TaskGroup:
        self.cancel_scope.__enter__()
        self._open = True
        return self

    def start_soon(self, fn: Callable[..., T], /, *args: object, name: str | None = None) -> Future[T]:
        """Start ``fn(*args)`` in a new thread, and return without waiting for it. May be called from any thread.

        Args:
            fn: the function to run; use ``functools.partial`` for keyword arguments.
            args: its positional arguments.
            name: the thread's name; None derives one from the function's.

        Returns:
            A future of the result. An exception of ``fn`` is also raised by the group.

        Raises:
            RuntimeError: the block has not been entered, or has been left and all its children have ended; or the
                system gives no more threads.
        """
        self._started += 1
        label = name or f"{getattr(fn, '__name__', 'task')}-{self._started}"
        child = OwnedThread(functools.partial(fn, *args), self.cancel_scope, label, on_end=self._ended)
        with self._mutex:
            if not self._open:
                raise RuntimeError("this TaskGroup is not open: start children inside its with block")
            self._children[child] = None
        try:
            child.start()
        except BaseException:
            self._children.pop(child, None)
            raise
        return cast("Future[T]", child.future)

    def _ended(self, child: OwnedThread) -> None:
        future = child.future
        if future.cancelled():
            self._cancelled_children = True
            return
        exc = future.exception(0)
        if exc is not None:
            with self._mutex:
                self._errors.append(exc)
            self.cancel_scope.cancel(exc)

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if exc is not None:
            self.cancel_scope.cancel(exc)
        interrupt = self._join_all()
        try:
            return self._leave(interrupt if exc is None else exc)
        finally:
            # An exception refers to the frames it passed through, and these variables back to it: break the cycle.
            del exc, traceback, interrupt
            self._errors = []

    def _join_all(self) -> BaseException | None:
        """Wait until no child is left, including those that children start; return a Ctrl-C that came meanwhile."""
        interrupt: BaseException | None = None
        while True:
            with self._mutex:
                child = next(iter(self._children), None)
                if child is None:
                    self._open = False
                    return interrupt
            try:
                child.join()
                self._children.pop(child, None)
            except KeyboardInterrupt as again:
                if interrupt is not None:
                    raise
                interrupt = again
                self.cancel_scope.cancel(again)

    def _leave(self, body_error: BaseException | None) -> bool:
        scope = self.cancel_scope
        if isinstance(body_error, KeyboardInterrupt | SystemExit):
            scope.__exit__(type(body_error), body_error, None)
            raise body_error
        errors = list(self._errors)
        if body_error is not None and not isinstance(body_error, Cancelled):
            errors.insert(0, body_error)
        if errors:
            group = BaseExceptionGroup("errors in a TaskGroup", errors)
            scope.__exit__(type(group), group, None)
            raise group
        if body_error is None and self._cancelled_children and scope._interrupted:
            # The children have given up because an outer scope was cancelled, so the block's work is not done.
            body_error = scope._cancelled()
            if not scope.__exit__(Cancelled, body_error, None):
                raise body_error
            return True
        return scope.__exit__(None if body_error is None else type(body_error), body_error, None)
