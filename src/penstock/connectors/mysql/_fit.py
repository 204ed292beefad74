"""Rows appended to a table with types of its own: find what MySQL would round without a word.

It warns of most that does not fit, and a warning is an error to us. But 1.5 becomes 2 in an INT, 0.1 something near it in a
FLOAT, and half a second is rounded in a DATETIME, all in silence. So these are looked for here, in the values, not the types:
a double that holds whole numbers may go into an INT.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from penstock.connectors.mysql._arrays import Array, compute, pyarrow
from penstock.connectors.mysql._columns import LoadColumn, Text, Unfit
from penstock.connectors.mysql._table import TargetColumn

__all__ = ["fitted"]

_INTEGERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "year", "bit"})
_FLOATS = {"float": "float", "double": "double"}
_WITH_TIME = frozenset({"datetime", "timestamp", "time"})
_MOST_FRACTION = 6


def fitted(column: LoadColumn, kind: Any, target: TargetColumn) -> LoadColumn:
    """Return ``column``, of Arrow type ``kind``, made to refuse what ``target`` would round."""
    text = _checked(column.text, kind, target)
    return column if text is None else replace(column, text=text)


def _checked(text: Text, kind: Any, target: TargetColumn) -> Text | None:
    types = pyarrow().types
    is_number = types.is_floating(kind) or types.is_decimal(kind)
    is_text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    if target.type in _INTEGERS and (is_number or is_text):
        return lambda column: _whole(column, unsigned=target.is_unsigned)
    if target.type in _FLOATS and (is_number or types.is_integer(kind)):
        return lambda column: text(_exactly(column, _FLOATS[target.type]))
    if target.type in _WITH_TIME and target.fraction_digits < _MOST_FRACTION:
        return lambda column: _not_finer(text(column), target)
    return None


def _whole(column: Array, *, unsigned: bool) -> Array:
    """Return whole numbers as text; Arrow refuses to cast what is none."""
    arrow = pyarrow()
    if arrow.types.is_string_view(column.type):
        column = column.cast(arrow.string())
    return column.cast(arrow.uint64() if unsigned else arrow.int64()).cast(arrow.string())


def _exactly(column: Array, target: str) -> Array:
    """Return ``column``, if a float of the target's size gives back each value."""
    kind = pyarrow().type_for_alias(target)
    back = column.cast(kind).cast(column.type)
    same = compute().equal(back, column)
    if same.false_count:
        value = column[same.index(pyarrow().scalar(value=False)).as_py()]
        raise Unfit(f"{value} is not the same any more as a {target}, which is what the table has")
    return column


def _not_finer(texts: Array, target: TargetColumn) -> Array:
    finer = compute().match_substring_regex(texts, rf"\.\d{{{target.fraction_digits}}}\d*[1-9]")
    if finer.true_count:
        value = texts[finer.index(pyarrow().scalar(value=True)).as_py()]
        digits = target.fraction_digits
        raise Unfit(f"{value} is finer than the table's {target.type}({digits}), which would round it")
    return texts
