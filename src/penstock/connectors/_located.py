"""Put the address on errors that formats raise, which do not know where their bytes came from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from penstock.errors import BudgetExceeded, SourceError

__all__ = ["located"]


@contextmanager
def located(where: str, *, hint: str = "") -> Iterator[None]:
    """Name ``where``, and give ``hint``, in errors of the block that have no address yet."""
    try:
        yield
    except SourceError as exc:
        if not exc.where:
            exc.where = where
            exc.hint = exc.hint or hint
        raise
    except BudgetExceeded as exc:
        raise BudgetExceeded(f"{where}: {exc}") from exc
