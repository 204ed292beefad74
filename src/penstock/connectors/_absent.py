"""Error messages for tables and columns that do not exist, which name those that do."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from penstock.connectors._sql import quoted
from penstock.errors import SourceError
from penstock.flow.suggest import did_you_mean

__all__ = ["no_column", "tables_hint"]

_MOST_NAMES_SHOWN = 10


def tables_hint(missing: str, names: Sequence[str], *, quote: Callable[[str], str] = quoted) -> str:
    """Return a hint at what may have been meant by the name of a table that does not exist.

    Args:
        missing: the name as it was given, which may have a schema in front.
        names: of the tables there are, one at least.
        quote: how this database quotes a name.
    """
    if "." in missing and missing in names:
        return f"a table with a dot in its own name is read with a query: SELECT * FROM {quote(missing)}"  # noqa: S608 - to be read
    return did_you_mean(missing, names, otherwise=f"there are {_listed(names)}")


def no_column(name: str, names: Sequence[str], where: str = "") -> SourceError:
    """Return the error for a column that does not exist; ``names`` are the columns that do."""
    hint = did_you_mean(name, names, otherwise=f"there are {_listed(names)}")
    return SourceError(f"no column {name!r}", where=where, hint=hint)


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:_MOST_NAMES_SHOWN])}{', ...' if len(names) > _MOST_NAMES_SHOWN else ''}"
