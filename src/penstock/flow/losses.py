"""What becomes of a value that the type of its column cannot hold: a NaN in a decimal, a date beyond year 9999."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import Literal, final

__all__ = ["ON_TYPE_LOSS", "Loss", "Losses", "OnTypeLoss"]

OnTypeLoss = Literal["error", "warn", "text"]
"""``"error"``: the copy fails and names column and value. ``"warn"``: the value becomes NULL, which is counted and told.
``"text"``: a column that could hold such values is text, with every value as the source writes it."""

ON_TYPE_LOSS: tuple[OnTypeLoss, ...] = ("error", "warn", "text")

_log = logging.getLogger("penstock.types")


@dataclass(frozen=True)
class Loss:
    """Values of one column that became NULL.

    Attributes:
        column: its name.
        reason: what they were: ``"NaN does not fit decimal128(12, 2)"``.
        count: how many.
    """

    column: str
    reason: str
    count: int

    def __str__(self) -> str:
        values = "1 value" if self.count == 1 else f"{self.count} values"
        return f"column {self.column!r}: {values} became NULL: {self.reason}"


@final
class Losses:
    """Counts what was lost in one copy. May be told from any thread."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()

    def add(self, column: str, reason: str, count: int = 1) -> None:
        """Note that ``count`` more values of ``column`` became NULL; the first time a warning is logged."""
        key = (column, reason)
        with self._lock:
            is_first = key not in self._counts
            self._counts[key] = self._counts.get(key, 0) + count
        if is_first:
            _log.warning("column %r: values become NULL: %s", column, reason)

    def told(self) -> tuple[Loss, ...]:
        """Return what was lost so far, first noticed first."""
        with self._lock:
            return tuple(Loss(column, reason, count) for (column, reason), count in self._counts.items())
