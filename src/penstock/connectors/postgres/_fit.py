"""Rows for a table with types of its own: find what PostgreSQL would bend without a word.

A COPY reads values as ``numeric(10, 2)``, ``timestamp(0)`` or ``date`` do, and those round, or drop what they have no room for: no
error, no warning. So these are looked for here, in the values, not the types: whole numbers in a ``numeric(10, 2)`` are well.
What the server itself refuses (too large a number, text that is none) is left to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from penstock._extras import need
from penstock.connectors.postgres._encode import Converter, Unloadable, unwrapping
from penstock.connectors.postgres._fit_looking import Check, has_zone, is_text, refuse_all, texts_of
from penstock.connectors.postgres._fit_numbers import number_check
from penstock.connectors.postgres._fit_times import time_check

__all__ = ["TargetColumn", "fitting"]

_HEADER = 4  # what a modifier counts besides the number
_NAME_BYTES = 63
_NUMBERS = frozenset({"float4", "float8", "numeric", "money"})
_TIMES = frozenset({"date", "timestamp", "timestamptz", "time", "timetz", "interval"})


@dataclass(frozen=True)
class TargetColumn:
    """A column of a table that is there.

    Attributes:
        type: the server's name for it, below domains; of an array, that of its items.
        modifier: its precision and the like, as the server keeps it; below zero for none.
        is_array: whether it is an array.
    """

    type: str
    modifier: int = -1
    is_array: bool = False

    @property
    def is_json(self) -> bool:
        """Whether it is json or jsonb."""
        return self.type in {"json", "jsonb"} and not self.is_array


def fitting(kind: Any, target: TargetColumn) -> Converter | None:
    """Return what passes a column of Arrow's ``kind`` on to ``target``, or raises :class:`Unloadable`; None for no doubt.

    Args:
        kind: the Arrow type, as it is below extensions and dictionaries.
        target: where the column goes.
    """
    if _pyarrow().types.is_nested(kind):
        return _passing(_items_check(kind, target))
    if target.is_array:
        return None
    if has_zone(kind) and target.type == "timestamp":
        kind = _pyarrow().timestamp(kind.unit, "UTC")  # the same instants, with the date and time of UTC
        check = _passing(_check(kind, target)) or _as_it_is
        return lambda column: check(column.cast(kind))
    return _passing(_check(kind, target))


def _items_check(kind: Any, target: TargetColumn) -> Check | None:
    """Return the check of a list's items, where the table has an array; what becomes JSON has another one."""
    types = _pyarrow().types
    if not target.is_array or types.is_struct(kind) or types.is_map(kind):
        return None
    return _item_check(kind.value_type, target, lambda column: column.flatten())


def _item_check(kind: Any, target: TargetColumn, take: Converter) -> Check | None:
    if (step := unwrapping(kind)) is not None:
        unwrap, inside = step
        return _item_check(inside, target, lambda column: unwrap(take(column)))
    if has_zone(kind) and kind.tz != "UTC" and target.type == "timestamp":
        return lambda column: refuse_all(take(column), f"has {kind}, of which the table's timestamps drop the zone")
    check = _check(kind, target)
    return None if check is None else lambda column: check(take(column))


def _check(kind: Any, target: TargetColumn) -> Check | None:
    if not (_is_plain(kind) or target.type == "interval"):
        return None
    if target.type in _NUMBERS:
        return number_check(kind, target.type, target.modifier)
    if target.type in _TIMES:
        return time_check(kind, target.type, target.modifier)
    return _length_check(target) if is_text(kind) or _pyarrow().types.is_integer(kind) else None


# --- text ---------------------------------------------------------------------------------------------------------


def _length_check(target: TargetColumn) -> Check | None:
    if target.type in {"name", "char"}:
        most = _NAME_BYTES if target.type == "name" else 1
        return lambda column: _refuse_longer(texts_of(column), most)
    if target.type not in {"varchar", "bpchar"} or target.modifier < 0:
        return None
    return lambda column: _refuse_spaces(texts_of(column), target.modifier - _HEADER)


def _refuse_longer(texts: Any, most_bytes: int) -> None:
    longer = texts.filter(_compute().greater(_compute().binary_length(texts), most_bytes))
    if len(longer):
        raise Unloadable(
            f"{longer[0].as_py()!r} is longer than {most_bytes} bytes, which is what the table keeps of it"
        )


def _refuse_spaces(texts: Any, most: int) -> None:
    """Refuse what would lose spaces at its end. What is too long otherwise, the server refuses."""
    longer = texts.filter(_compute().greater(_compute().utf8_length(texts), most))
    cut = longer.filter(_compute().ends_with(longer, " "))
    if len(cut):
        raise Unloadable(f"{cut[0].as_py()!r} is longer than {most} characters, and would lose spaces at its end")


# --- helpers ------------------------------------------------------------------------------------------------------


def _is_plain(kind: Any) -> bool:
    """Whether it is a number, text, a date or a time: what Arrow writes as PostgreSQL reads it."""
    types = _pyarrow().types
    is_number = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    is_temporal = types.is_timestamp(kind) or types.is_date(kind) or types.is_time(kind)
    return bool(is_number or is_temporal or is_text(kind))


def _passing(check: Check | None) -> Converter | None:
    if check is None:
        return None

    def passed(column: Any) -> Any:
        check(column)
        return column

    return passed


def _as_it_is(column: Any) -> Any:
    return column


def _pyarrow() -> Any:
    return need("pyarrow", extra="arrow", why="hold tables")


def _compute() -> Any:
    return need("pyarrow.compute", extra="arrow", why="look at columns")
