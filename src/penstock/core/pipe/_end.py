"""What both ends of a pipe have in common: closing, and their way out of the world."""

from __future__ import annotations

import io
import warnings
from types import TracebackType
from typing import TypeVar

from penstock.core._handled import mark_handled, newly_in_flight
from penstock.core.pipe._orders import PipeStatistics
from penstock.core.pipe._outcomes import CLOSED
from penstock.core.pipe._state import PipeState
from penstock.errors import BrokenError, ClosedError

__all__ = ["PipeEnd"]

_Self = TypeVar("_Self", bound="PipeEnd")


class PipeEnd(io.BufferedIOBase):
    """One end of a pipe, as a file object."""

    _state: PipeState
    _doomed = False  # aborted because it, or what wraps it, was dropped; finalizers may still write and close

    def __init__(self, state: PipeState) -> None:
        self._state = state
        self._mark = mark_handled()

    # -- what the subclasses say about themselves

    def _outcome(self) -> BaseException | None:
        raise NotImplementedError

    def _end(self, outcome: BaseException) -> None:
        raise NotImplementedError

    def _abandon(self) -> None:
        raise NotImplementedError

    # -- the file API

    @property
    def name(self) -> str | None:
        """The name given to ``pipe()``."""
        return self._state.name

    @property
    def closed(self) -> bool:
        """Whether this end was closed or aborted."""
        return self._outcome() is not None and not self._doomed

    def seekable(self) -> bool:
        """Return False."""
        return False

    def isatty(self) -> bool:
        """Return False."""
        return False

    def close(self) -> None:
        """Close this end; idempotent, never blocks, never fails.

        While an exception is being handled in this thread this is ``abort(exception)``: that is how a
        ``TextIOWrapper``, a ``GzipFile`` or a plain ``with`` block that fails closes what it writes to, and a
        failure must not look like the end of the data. Exceptions that were already being handled when the end was
        made do not count, nor do those that only say that an iteration has ended.
        """
        self._doomed = False
        if self._outcome() is None:
            exc = newly_in_flight(self._mark)
            self._end(CLOSED if exc is None else exc)  # not `or`: an exception may be falsy, and is a failure still

    def abort(self, exc: BaseException | None = None) -> None:
        """Close this end with an error, which the other side raises: the same object. Idempotent, never blocks.

        The first ``close`` or ``abort`` of an end wins. Without ``exc`` the other side raises ``BrokenError``; so
        it does for exceptions that are not ``Exception``s (a cancellation, Ctrl-C), with ``exc`` as its cause.
        What waits in the pipe is dropped.
        """
        if self._outcome() is None:
            self._end(exc if exc is not None else BrokenError(f"the other end of {self._state.label()} was aborted"))

    def statistics(self) -> PipeStatistics:
        """Return the pipe's counters as they are now."""
        with self._state.mutex:
            return self._state.statistics()

    def __enter__(self: _Self) -> _Self:
        if self._outcome() is not None:
            raise ClosedError(f"{self._state.label()} is closed")
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc is not None:
            self.abort(exc)
        elif self._outcome() is None:
            self._end(CLOSED)

    def _dealloc_warn(self, source: object) -> None:
        """Called by CPython's io objects that are garbage-collected open, before they flush and close what they wrap.

        From here until that close the end lets them: the stream is aborted already, and an error about their last
        bytes would only be noise.
        """
        if self._outcome() is None:
            self._doomed = True
            self._abandon()
            warnings.warn(f"{source!r} was dropped without close()", ResourceWarning, stacklevel=2, source=source)

    def __del__(self) -> None:
        # A finalizer runs in any thread, between any two lines, also while that thread holds our mutex. So it takes
        # no lock: it stores this side's outcome, which nobody else stores, and wakes whoever is parked.
        if "_state" in self.__dict__ and self._outcome() is None:
            self._doomed = True  # what wraps it may be in the same garbage, and be finalized after it
            self._abandon()
            warnings.warn(
                f"{self!r} made at {self._state.origin} was dropped without close()",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )

    def __repr__(self) -> str:
        state = self._state
        name = f" {state.name!r}" if state.name else ""
        condition = "closed" if self.closed else "open"
        return f"<{type(self).__name__}{name} {condition}, {state.waiting_bytes()} bytes waiting>"
