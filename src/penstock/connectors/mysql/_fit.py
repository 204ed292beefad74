"""When rows are appended to an existing table, find the values that MySQL would silently round.

MySQL warns about most values that do not fit, and we treat a warning as an error. But without any warning 1.5 becomes 2 in
an INT, 0.1 becomes something near it in a FLOAT, and half a second is rounded in a DATETIME. So these are searched for
here, by value and not by type: doubles that are whole numbers may go into an INT.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from penstock.connectors._float_digits import first_lost
from penstock.connectors.mysql._arrays import Array, compute, pyarrow
from penstock.connectors.mysql._columns import LoadColumn, Text, Unfit
from penstock.connectors.mysql._table import TargetColumn

__all__ = ["fitted"]

_INTEGERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "year", "bit"})
_FLOATS = {"float": "float", "double": "double"}
_WITH_TIME = frozenset({"datetime", "timestamp", "time"})
_MOST_FRACTION = 6

_Take = Callable[[Array], Array]


def fitted(column: LoadColumn, kind: Any, target: TargetColumn) -> LoadColumn:
    """Return ``column``, of Arrow type ``kind``, made to refuse what ``target`` would round."""
    text = _checked(column.text, kind, target, lambda values: values)
    return column if text is None else replace(column, text=text)


def _checked(text: Text, kind: Any, target: TargetColumn, take: _Take) -> Text | None:
    """Return ``text`` with a look at each value before; ``take`` leads from the column to one of ``kind``."""
    types = pyarrow().types
    if types.is_dictionary(kind):
        return _checked(text, kind.value_type, target, lambda column: take(column).dictionary_decode())
    is_number = types.is_floating(kind) or types.is_decimal(kind)
    is_text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    if target.type in _INTEGERS and (is_number or is_text):
        whole = _whole_text(target, take)
        return _of_year(whole) if target.type == "year" else whole
    if target.type == "year" and types.is_integer(kind):
        return _of_year(text)
    if target.type in _FLOATS and (is_number or is_text or types.is_integer(kind)):
        return _of_float(text, target, is_text, take)
    if target.type in _WITH_TIME and target.fraction_digits < _MOST_FRACTION:
        return lambda column: _not_finer(text(column), target)
    if target.type in {"enum", "set"} and (is_text or types.is_integer(kind)):
        return lambda column: _no_position(text(column), target)
    if target.length is not None:
        return lambda column: _not_padded(text, column, take(column), target)
    return None


def _whole_text(target: TargetColumn, take: _Take) -> Text:
    return lambda column: _whole(take(column), unsigned=target.is_unsigned)


def _of_year(text: Text) -> Text:
    """Return ``text`` without years of which MySQL makes others: 5 is 2005 to it, 99 is 1999, and '0' is 2000."""

    def checked(column: Array) -> Array:
        years = text(column)
        _refuse_match(years, r"^[+-]?0*[1-9]\d?$", "would become a year of this century or the last")
        return compute().replace_substring_regex(years, r"^0+$", "0000")

    return checked


def _of_float(text: Text, target: TargetColumn, is_text: bool, take: _Take) -> Text:
    name = _FLOATS[target.type]

    def checked(column: Array) -> Array:
        values = take(column)
        if not is_text:
            _exactly(values, name)
        elif (lost := first_lost(values.cast(pyarrow().large_string()), name)) is not None:
            raise Unfit(f"{lost} is not the same any more as a {name}, which is what the table has")
        texts = text(column)
        if target.scale is not None:
            _refuse_match(texts, rf"\.\d{{{target.scale}}}\d*[1-9]|[eE]-", f"is rounded to {target.scale} digits")
        return texts

    return checked


def _no_position(texts: Array, target: TargetColumn) -> Array:
    """Refuse numbers where they are no values: MySQL takes them for the position of one, or a sum of those."""
    arrow = pyarrow()
    known = compute().is_in(texts, value_set=arrow.array(sorted(target.values), texts.type))
    what = f"is none of the values of the table's {target.type}, which takes it for the place of one"
    _refuse_match(texts.filter(compute().invert(known)), r"^\s*\d+\s*$", what)
    return texts


def _not_padded(text: Text, column: Array, values: Array, target: TargetColumn) -> Array:
    lengths = compute().binary_length(values)
    shorter = compute().less(lengths, target.length)
    if shorter.true_count:
        raise Unfit(
            f"{lengths.filter(shorter)[0]} bytes would be filled up to {target.length} with zeros: BINARY is that long"
        )
    return text(column)


def _refuse_match(texts: Array, pattern: str, what: str) -> None:
    found = texts.filter(compute().match_substring_regex(texts, pattern))
    if len(found):
        raise Unfit(f"{found[0]} {what}")


def _whole(column: Array, *, unsigned: bool) -> Array:
    """Return whole numbers as text; Arrow refuses to cast what is none."""
    arrow = pyarrow()
    if arrow.types.is_string_view(column.type):
        column = column.cast(arrow.string())
    return column.cast(arrow.uint64() if unsigned else arrow.int64()).cast(arrow.string())


def _exactly(column: Array, target: str) -> None:
    """Refuse what a float of the target's size does not give back."""
    kind = pyarrow().type_for_alias(target)
    back = column.cast(kind).cast(column.type)
    same = compute().equal(back, column)
    if same.false_count:
        value = column[same.index(pyarrow().scalar(value=False)).as_py()]
        raise Unfit(f"{value} is not the same any more as a {target}, which is what the table has")


def _not_finer(texts: Array, target: TargetColumn) -> Array:
    finer = compute().match_substring_regex(texts, rf"\.\d{{{target.fraction_digits}}}\d*[1-9]")
    if finer.true_count:
        value = texts[finer.index(pyarrow().scalar(value=True)).as_py()]
        digits = target.fraction_digits
        raise Unfit(f"{value} is finer than the table's {target.type}({digits}), which would round it")
    return texts
