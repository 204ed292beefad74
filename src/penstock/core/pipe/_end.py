"""The base class of both ends of a pipe: closing, aborting, and what happens to an end that is dropped open."""

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
    _doomed = False  # dropped open, itself or by what wraps it, hence aborted; finalizers may still write and close

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
        """Close this end. Idempotent, never blocks, never fails.

        Closing the write end marks the end of the data; closing the read end makes writers raise ``BrokenError``.

        Called while an exception is being handled in this thread, it does ``abort(exception)`` instead. A
        ``TextIOWrapper`` or ``GzipFile`` whose ``with`` block fails closes what it writes to, and such a failure must
        not look like the end of the data. Exceptions that were already being handled when the end was made do not
        count, nor do those that only end an iteration, such as ``StopIteration``.
        """
        self._doomed = False
        if self._outcome() is None:
            exc = newly_in_flight(self._mark)
            self._end(CLOSED if exc is None else exc)  # not `or`: an exception may be falsy, and is a failure still

    def abort(self, exc: BaseException | None = None) -> None:
        """Close this end with an error, which the other side raises. Idempotent, never blocks.

        The first ``close`` or ``abort`` of an end wins. Bytes waiting in the pipe are dropped.

        Args:
            exc: what the other side raises, the same object. None makes it raise ``BrokenError``; so does anything
                but an ``Exception`` (a cancellation, Ctrl-C), which then is the cause of that ``BrokenError``.
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
        """CPython calls this for an io object that is garbage-collected open, before it flushes and closes what it wraps.

        The stream is aborted here. Until that close the end accepts their last bytes and drops them, because an error
        about them would only be noise.
        """
        if self._outcome() is None:
            self._doomed = True
            self._abandon()
            warnings.warn(f"{source!r} was dropped without close()", ResourceWarning, stacklevel=2, source=source)

    def __del__(self) -> None:
        # A finalizer may run in any thread, between any two lines, even while that thread holds our mutex. So it takes
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
