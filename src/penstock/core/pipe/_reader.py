"""The read end of a pipe as a Python file object, for threads."""

from __future__ import annotations

import math
from time import monotonic
from typing import TYPE_CHECKING, Any

from penstock.core._parking import ThreadWaiter
from penstock.core.cancel import _current
from penstock.core.pipe._deadlock import PATIENCE_SECONDS, raise_if_alone, reject_reentry
from penstock.core.pipe._end import PipeEnd
from penstock.core.pipe._orders import ReadOrder
from penstock.core.pipe._outcomes import CLOSED
from penstock.core.pipe._steps import begin_read, look_at_read, withdraw_read
from penstock.errors import ClosedError

if TYPE_CHECKING:
    from penstock.core.pipe._aio import AsyncPipeReader

__all__ = ["PipeReader"]


class PipeReader(PipeEnd):
    """The read end of a pipe: a binary file to read from. Made by :func:`penstock.pipe`.

    Reads block until there is something to return. ``b""`` means the end of the data and nothing else. Several threads
    may read at once; each byte goes to one of them. Leaving a ``with`` block closes the end, or aborts it with the
    exception that leaves.

    Every reading method raises ``ClosedError`` if this end is closed, whatever the writer gave to ``abort``,
    ``PipeAbandoned`` if the write end was dropped without closing, ``Cancelled`` if the current scope is cancelled, and
    ``WouldDeadlock`` if only this thread could write what it waits for. A read that raises has taken nothing.
    """

    @property
    def mode(self) -> str:
        """Return ``"rb"``."""
        return "rb"

    @property
    def aio(self) -> AsyncPipeReader:
        """A view of this end for asyncio and trio tasks: an AnyIO ``ByteReceiveStream``."""
        from penstock.core.pipe._aio import AsyncPipeReader

        return AsyncPipeReader(self)

    def readable(self) -> bool:
        """Return True.

        Raises:
            ClosedError: this end is closed.
        """
        if self._state.read_outcome is not None:
            raise ClosedError(f"{self._state.label()} is closed")
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """Block until there are ``size`` bytes and return them; fewer only at the end of the data. -1 reads everything.

        A read never returns early with fewer bytes, because boto3, say, takes a short read for the end of the data.
        """
        parts = self._read(math.inf if size is None or size < 0 else size, once=False)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def read1(self, size: int = -1, /) -> bytes:
        """Return up to ``size`` of the bytes that are there; block only while there are none. Go's ``Read``.

        Without a buffer the bytes are from a single write, and a whole ``bytes`` object comes through uncopied.
        """
        parts = self._read(math.inf if size < 0 else size, once=True)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def readinto(self, buffer: Any, /) -> int:
        """Block until ``buffer`` is full; return the number of bytes, less than its size only at the end of the data."""
        return self._read_into(buffer, self.read)

    def readinto1(self, buffer: Any, /) -> int:
        """Read what is there into ``buffer``, as :meth:`read1` does; return the number of bytes, 0 at the end."""
        return self._read_into(buffer, self.read1)

    @staticmethod
    def _read_into(buffer: Any, read: Any) -> int:
        with memoryview(buffer) as view, view.cast("B") as octets:
            if octets.readonly:
                raise TypeError(f"reading into a {type(buffer).__name__} is not possible: it is read-only")
            data = read(len(octets))
            octets[: len(data)] = data
            return len(data)

    def __iter__(self) -> PipeReader:
        return self

    def __next__(self) -> bytes:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def readline(self, size: int | None = -1, /) -> bytes:
        """Block until there is a line and return it with its newline, or its first ``size`` bytes; ``b""`` at the end."""
        limit = math.inf if size is None or size < 0 else size
        parts: list[bytes] = []
        try:
            while limit > 0:
                part = self._read_to_newline(limit)
                parts.append(part)
                limit -= len(part)
                if not part or part.endswith(b"\n"):
                    break
        except BaseException:
            with self._state.mutex:
                self._state.put_back(parts)
            raise
        return b"".join(parts)

    def _read_to_newline(self, limit: float) -> bytes:
        """Take bytes of the first waiting segment, up to a newline; block while there is none."""
        state = self._state
        while True:
            self._read(0, once=False, peek=True)
            with state.mutex:
                state.raise_if_unreadable()
                if state.segments:
                    return state.take_line(limit)
                if state.write_outcome is CLOSED:
                    return b""

    def _read(self, limit: float, *, once: bool, peek: bool = False) -> list[bytes]:
        state = self._state
        scope = _current.get()
        if scope is not None and scope._alert:
            scope._check()
        if state.mutex.locked():
            reject_reentry(state)
        order = None
        try:
            begun = begin_read(state, limit, once, ThreadWaiter, peek=peek)
            if type(begun) is list:
                return begun
            order = begun
            self._wait(order)  # type: ignore[arg-type]
        except BaseException as exc:
            if order is None or not withdraw_read(state, order, exc):  # type: ignore[arg-type]
                raise
        return order.parts  # type: ignore[union-attr]

    def _wait(self, order: ReadOrder) -> None:
        state = self._state
        began = monotonic()
        patience = began + PATIENCE_SECONDS
        try:
            while not order.done:
                order.waiter.park(patience)
                if order.done or look_at_read(state, order):
                    return
                if patience != math.inf and monotonic() >= patience:
                    patience = math.inf
                    raise_if_alone(state, state.write_end, "written")
        finally:
            state.read_blocked_seconds += monotonic() - began

    def _outcome(self) -> BaseException | None:
        return self._state.read_outcome

    def _end(self, outcome: BaseException) -> None:
        state = self._state
        with state.mutex:
            state.close_read(outcome)
            state.drop_unread()

    def _abandon(self) -> None:
        self._state.abandon_read()
