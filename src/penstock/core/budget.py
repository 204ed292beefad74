"""``Budget``: bound how many bytes are in flight, by one number that everything holding data shares."""

from __future__ import annotations

import _thread
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from penstock.core._parking import ThreadWaiter
from penstock.core.cancel import check_cancelled
from penstock.errors import BudgetExceeded

__all__ = ["Budget"]


class _Claim:
    __slots__ = ("amount", "waiter")

    def __init__(self, amount: int, waiter: ThreadWaiter) -> None:
        self.amount = amount
        self.waiter = waiter


class Budget:
    """A budget of bytes that threads take from and give back to, first come, first served.

    A large claim is not overtaken by smaller ones, so it cannot starve. Safe for use by several threads at once.

    Args:
        limit_bytes: how many bytes may be taken in all at any time; above zero.

    Raises:
        ValueError: ``limit_bytes`` is not above zero.
    """

    def __init__(self, limit_bytes: int) -> None:
        if limit_bytes <= 0:
            raise ValueError(f"limit_bytes must be above 0, not {limit_bytes!r}")
        self._limit = limit_bytes
        self._mutex = _thread.allocate_lock()
        self._used = 0
        self._peak = 0
        self._claims: deque[_Claim] = deque()

    @property
    def limit_bytes(self) -> int:
        """How many bytes may be taken in all."""
        return self._limit

    @property
    def used_bytes(self) -> int:
        """How many bytes are taken now."""
        return self._used

    @property
    def peak_bytes(self) -> int:
        """The most bytes that were ever taken at the same time."""
        return self._peak

    def acquire(self, size_bytes: int) -> None:
        """Take ``size_bytes``; block until they are available and all earlier claims have been served.

        Raises:
            BudgetExceeded: ``size_bytes`` is more than the whole budget, so waiting would not help.
            ValueError: ``size_bytes`` is negative.
            Cancelled: the current scope was cancelled; nothing was taken.
        """
        if size_bytes < 0:
            raise ValueError(f"size_bytes must be 0 or more, not {size_bytes!r}")
        if size_bytes > self._limit:
            raise BudgetExceeded(f"{size_bytes} bytes asked of a budget of {self._limit} bytes")
        check_cancelled()
        claim = None
        try:
            with self._mutex:
                if not self._claims and self._used + size_bytes <= self._limit:
                    self._take(size_bytes)
                    return
                claim = _Claim(size_bytes, ThreadWaiter())
                self._claims.append(claim)
            while not claim.waiter.done:
                claim.waiter.park()
        except BaseException:
            if claim is not None:
                self._withdraw(claim)
            raise

    def release(self, size_bytes: int) -> None:
        """Give back ``size_bytes``; never blocks.

        Raises:
            ValueError: ``size_bytes`` is negative, or more than is taken.
        """
        with self._mutex:
            if not 0 <= size_bytes <= self._used:
                raise ValueError(f"release of {size_bytes} bytes, but {self._used} are taken")
            self._used -= size_bytes
            self._serve()

    @contextmanager
    def reserve(self, size_bytes: int) -> Iterator[None]:
        """Take ``size_bytes`` for a ``with`` block: blocks and raises as :meth:`acquire`, gives them back at its end."""
        self.acquire(size_bytes)
        try:
            yield
        finally:
            self.release(size_bytes)

    def _take(self, size_bytes: int) -> None:
        self._used += size_bytes
        self._peak = max(self._peak, self._used)

    def _serve(self) -> None:
        while self._claims and self._used + self._claims[0].amount <= self._limit:
            claim = self._claims[0]
            self._take(claim.amount)
            claim.waiter.done = True
            claim.waiter.wake()
            self._claims.popleft()

    def _withdraw(self, claim: _Claim) -> None:
        """Undo a claim whose wait was interrupted. If it was served already, its bytes go back: nobody received them."""
        with self._mutex:
            if claim.waiter.done:
                self._used -= claim.amount
            else:
                self._claims.remove(claim)
            self._serve()

    def __repr__(self) -> str:
        return f"<Budget {self._used} of {self._limit} bytes taken, {len(self._claims)} waiting>"
