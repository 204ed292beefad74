"""What every check of values looks with: their text, and patterns in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock._extras import need
from penstock.connectors.postgres._encode import Unloadable

__all__ = ["Check", "has_zone", "is_text", "matches", "refuse_all", "refuse_match", "texts_of"]

Check = Callable[[Any], None]


def texts_of(column: Any) -> Any:
    """Return a column as the text that PostgreSQL will read."""
    arrow = _pyarrow()
    if arrow.types.is_float16(column.type):
        column = column.cast(arrow.float32())
    return column.cast(arrow.large_string())


def is_text(kind: Any) -> bool:
    """Whether it is text of any layout."""
    types = _pyarrow().types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def has_zone(kind: Any) -> bool:
    """Whether it is a timestamp with a time zone."""
    return bool(_pyarrow().types.is_timestamp(kind)) and kind.tz is not None


def matches(texts: Any, pattern: str) -> Any:
    """Return which texts have the pattern in them."""
    return _compute().match_substring_regex(texts, pattern)


def refuse_match(texts: Any, pattern: str, what: str) -> None:
    """Refuse the first text that has the pattern in it, with words on what is wrong."""
    found = texts.filter(matches(texts, pattern))
    if len(found):
        raise Unloadable(f"{found[0].as_py()} {what}")


def refuse_all(column: Any, what: str) -> None:
    """Refuse a column with any value but NULL."""
    if column.null_count < len(column):
        raise Unloadable(what)


def _pyarrow() -> Any:
    return need("pyarrow", extra="arrow", why="hold tables")


def _compute() -> Any:
    return need("pyarrow.compute", extra="arrow", why="look at columns")
