"""Checks of column names that loading a table needs in every database."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.errors import SinkError

__all__ = ["refuse_repeated"]


def refuse_repeated(names: Sequence[str], where: str) -> None:
    """Refuse names that differ only in case, which the database would take for the same.

    Raises:
        SinkError: there are such names, or no columns at all.
    """
    if not names:
        raise SinkError("there are no columns to make a table of", where=where)
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            hint = "rename one in the query (AS ...)"
            raise SinkError(f"two columns are called {name!r}", where=where, hint=hint)
        seen.add(name.lower())
