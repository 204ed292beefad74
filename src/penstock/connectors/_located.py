"""Add the address to errors raised by formats, which do not know where their bytes come from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from penstock.errors import BudgetExceeded, SourceError

__all__ = ["located"]


@contextmanager
def located(where: str, *, hint: str = "") -> Iterator[None]:
    """Add ``where`` and ``hint`` to errors of the block that have no address yet."""
    try:
        yield
    except SourceError as exc:
        if not exc.where:
            exc.where = where
            exc.hint = exc.hint or hint
        raise
    except BudgetExceeded as exc:
        raise BudgetExceeded(f"{where}: {exc}") from exc
