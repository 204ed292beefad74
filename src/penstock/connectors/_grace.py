"""Let an operation that must not be interrupted half-way finish after a cancel, for a limited time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from penstock.core.cancel import CancelScope, check_cancelled, on_cancel

__all__ = ["with_grace"]


@contextmanager
def with_grace(seconds: float, *, only_if: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """Let the block go on for up to ``seconds`` after a cancel. If it finishes in that time, it has succeeded.

    Args:
        seconds: how long it may go on.
        only_if: called at the cancel, from any thread: whether the block must not be interrupted where it is now.

    Raises:
        Cancelled: the surrounding scope was cancelled before the block, or the time after a cancel ran out.
    """
    check_cancelled()
    shielded = CancelScope(shield=True)

    def limit() -> None:
        shielded.deadline = monotonic() + (seconds if only_if() else 0.0)

    with on_cancel(limit):
        with shielded:
            yield
        if shielded.cancelled_caught:
            check_cancelled()
