"""Detect a stalled copy (``stall_timeout``): no byte has moved between any two stages for some time."""

from __future__ import annotations

from time import monotonic
from typing import final

from penstock.engines.waiting import describe_now
from penstock.engines.work import Work
from penstock.errors import StallError
from penstock.flow.units import format_seconds

__all__ = ["StallWatch"]


@final
class StallWatch:
    """Raises if no byte has moved between any two stages for ``timeout`` seconds.

    The time counts from the start: a query that takes longer than ``timeout`` to give its first row is a stall too, and
    so is a part that takes longer to upload. Waiting because of the bandwidth limit is not.

    Args:
        work: the stages to watch.
        timeout: seconds without movement that count as a stall; None never raises.
    """

    def __init__(self, work: Work, timeout: float | None) -> None:
        self._work = work
        self._timeout = timeout
        self._moved = -1
        self._since = monotonic()

    def check(self) -> None:
        """Check once; never blocks.

        Raises:
            StallError: nothing has moved for ``timeout`` seconds. The message says who waits on whom; a note has the
                stack of every stage.
        """
        if self._timeout is None:
            return
        moved = self._work.moved_bytes()
        if moved != self._moved or self._work.is_held_back:
            self._moved, self._since = moved, monotonic()
        elif monotonic() - self._since >= self._timeout:
            raise self._error()

    def _error(self) -> StallError:
        assert self._timeout is not None
        waiting = describe_now(self._work.statuses())
        error = StallError(f"no byte moved for {format_seconds(self._timeout)}: {waiting}")
        error.add_note(self._work.stacks())
        return error
