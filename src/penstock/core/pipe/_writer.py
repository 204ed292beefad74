"""The write end of a pipe as a Python file object, for threads."""

from __future__ import annotations

import math
from time import monotonic
from typing import TYPE_CHECKING, Any

from penstock.core._parking import ThreadWaiter
from penstock.core.cancel import _current
from penstock.core.pipe._deadlock import PATIENCE_SECONDS, raise_if_alone, reject_reentry
from penstock.core.pipe._end import PipeEnd
from penstock.core.pipe._orders import WriteOffer
from penstock.core.pipe._outcomes import CLOSED
from penstock.core.pipe._steps import begin_write, look_at_write, withdraw_write
from penstock.errors import ClosedError

if TYPE_CHECKING:
    from penstock.core.pipe._aio import AsyncPipeWriter

__all__ = ["PipeWriter"]


class PipeWriter(PipeEnd):
    """The write end of a pipe: a binary file to write to. Made by :func:`penstock.pipe`.

    Several threads may write at once; the bytes of one write stay together. Leaving a ``with`` block closes the end,
    which is the end of the data, or aborts it with the exception that leaves.
    """

    @property
    def mode(self) -> str:
        """Return ``"wb"``."""
        return "wb"

    @property
    def aio(self) -> AsyncPipeWriter:
        """A view of this end for asyncio and trio tasks: an AnyIO ``ByteSendStream``."""
        from penstock.core.pipe._aio import AsyncPipeWriter

        return AsyncPipeWriter(self)

    def writable(self) -> bool:
        """Return True.

        Raises:
            ClosedError: this end is closed.
        """
        if self._state.write_outcome is not None:
            raise ClosedError(f"{self._state.label()} is closed")
        return True

    def write(self, data: Any, /) -> int:
        """Write all of ``data`` and return its size in bytes.

        Blocks until readers have taken every byte, or, on a buffered pipe, until what is left fits the buffer.
        ``bytes`` are handed over without a copy; any other buffer may be changed again once this returns.

        An exception raised here has an attribute ``characters_written``: how many bytes readers had taken by then.

        Raises:
            ClosedError: this end is closed.
            BrokenError: the read end is closed.
            Exception: whatever the reader gave to ``abort``.
            Cancelled: the current scope was cancelled.
            WouldDeadlock: only this thread could read what it waits to be read.
        """
        if type(data) is not bytes:
            with memoryview(data) as view, view.cast("B") as octets:
                return self._write(octets, len(octets))
        return self._write(data, len(data))

    def _write(self, data: bytes | memoryview, size: int) -> int:
        state = self._state
        offer = None
        try:
            if state.write_outcome is not None:  # also before the mutex: a finalizer may get here
                if self._doomed:
                    return size
                state.raise_if_unwritable()
            scope = _current.get()
            if scope is not None and scope._alert:
                scope._check()
            if state.mutex.locked():
                reject_reentry(state)
            offer = begin_write(state, data, size, ThreadWaiter)
            if offer is not None:
                self._wait(offer)
        except BaseException as exc:
            if offer is None:
                exc.characters_written = 0  # type: ignore[attr-defined]
            if offer is None or not withdraw_write(state, offer, exc):
                raise
        return size

    def _wait(self, offer: WriteOffer) -> None:
        state = self._state
        began = monotonic()
        patience = began + PATIENCE_SECONDS
        try:
            while not offer.done:
                offer.waiter.park(patience)
                if offer.done:
                    return
                look_at_write(state, offer)
                if patience != math.inf and monotonic() >= patience:
                    patience = math.inf
                    raise_if_alone(state, state.read_end, "read")
        finally:
            state.write_blocked_seconds += monotonic() - began

    def flush(self) -> None:
        """Do nothing: a write never keeps anything back.

        Raises:
            ClosedError: this end is closed.
        """
        if self._state.write_outcome is not None and not self._doomed:
            raise ClosedError(f"flush of closed {self._state.label()}")

    def _outcome(self) -> BaseException | None:
        return self._state.write_outcome

    def _end(self, outcome: BaseException) -> None:
        state = self._state
        with state.mutex:
            state.close_write(outcome)
            if outcome is not CLOSED:
                state.drop_unread()

    def _abandon(self) -> None:
        self._state.abandon_write()
