"""``on_type_loss``: what happens to values that the type of their column cannot hold, and the count of those lost.

Examples are a NaN in a decimal column, or a date beyond the year 9999.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import Literal, final

__all__ = ["ON_TYPE_LOSS", "Loss", "Losses", "OnTypeLoss"]

OnTypeLoss = Literal["error", "warn", "text"]
"""``"error"``: the copy fails, naming column and value. ``"warn"``: the value becomes NULL; this is counted and reported.
``"text"``: every column that could hold such values becomes text, with each value as the source writes it."""

ON_TYPE_LOSS: tuple[OnTypeLoss, ...] = ("error", "warn", "text")

_log = logging.getLogger("penstock.types")


@dataclass(frozen=True)
class Loss:
    """The values of one column that became NULL for the same reason.

    Attributes:
        column: the name of the column.
        reason: why they did not fit, such as ``"NaN does not fit decimal128(12, 2)"``.
        count: how many values.
    """

    column: str
    reason: str
    count: int

    def __str__(self) -> str:
        values = "1 value" if self.count == 1 else f"{self.count} values"
        return f"column {self.column!r}: {values} became NULL: {self.reason}"


@final
class Losses:
    """Counts the values lost in one copy. May be used from any thread."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()

    def add(self, column: str, reason: str, count: int = 1) -> None:
        """Count ``count`` more values of ``column`` as lost; the first time, log a warning."""
        key = (column, reason)
        with self._lock:
            is_first = key not in self._counts
            self._counts[key] = self._counts.get(key, 0) + count
        if is_first:
            _log.warning("column %r: values become NULL: %s", column, reason)

    def told(self) -> tuple[Loss, ...]:
        """Return the losses so far, in the order in which they were first noticed."""
        with self._lock:
            return tuple(Loss(column, reason, count) for (column, reason), count in self._counts.items())
