"""``Sequencer``: run blocks of several threads in a given order. trio's class of that name, for threads."""

from __future__ import annotations

from types import TracebackType
from typing import final

from penstock.core._parking import ThreadWaiter

__all__ = ["Sequencer"]


@final
class Sequencer:
    """Makes blocks of different threads run in a given order, so that a test needs no sleep to provoke a race.

        order = Sequencer()

        def first():
            with order(0):
                ...
            with order(2):
                ...

        def second():
            with order(1):
                ...

    Each position can be used once. ``with order(n)`` blocks until the blocks 0 to n-1 have been left; a cancel of the
    current scope ends the wait. If a block is left by an exception, or a wait is cancelled, the order cannot be kept any
    more: whoever waits, or comes later, gets a ``RuntimeError``, so that no thread is left waiting for another.
    """

    def __init__(self) -> None:
        self._next = 0
        self._taken: set[int] = set()
        self._waiters: dict[int, ThreadWaiter] = {}
        self._broken_by: BaseException | None = None

    def __call__(self, position: int) -> _Position:
        """Return the context manager for a position.

        Args:
            position: the place in the order, counted from 0.

        Raises:
            RuntimeError: the position has been used already.
        """
        if position < 0 or position in self._taken:
            raise RuntimeError(f"position {position} of the sequence is taken already, or is negative")
        self._taken.add(position)
        return _Position(self, position)

    def _wait_for(self, position: int) -> None:
        waiter = self._waiters[position] = ThreadWaiter()  # registered before looking, so no wake-up is missed
        while self._next != position:
            if self._broken_by is not None:
                raise RuntimeError(f"position {position} of the sequence never came") from self._broken_by
            waiter.park()

    def _leave(self, position: int) -> None:
        self._next = position + 1
        if waiter := self._waiters.get(self._next):
            waiter.wake()

    def _break(self, error: BaseException) -> None:
        if self._broken_by is None:
            self._broken_by = error
        for waiter in list(self._waiters.values()):
            waiter.wake()


@final
class _Position:
    def __init__(self, sequencer: Sequencer, position: int) -> None:
        self._sequencer = sequencer
        self._position = position

    def __enter__(self) -> None:
        try:
            self._sequencer._wait_for(self._position)
        except BaseException as error:
            self._sequencer._break(error)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self._sequencer._leave(self._position)
        else:
            self._sequencer._break(error)
