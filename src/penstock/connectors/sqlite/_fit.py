"""When rows are appended to an existing table, find the values that SQLite would silently alter.

It converts what it stores by the affinity of a column, which comes from its declared type
(https://www.sqlite.org/datatype3.html, 3): ``007`` becomes 7 in an INT and in a DATE, 2^53 + 1 another number in a REAL, 1e400
infinity. So each value is checked, and not only the type: text that is a number may go into an INT, and a date into a DATE,
where it stays text. Text that is a number is handed over as that number, because SQLite's own conversion is off by a bit
for some, such as 1e-299.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from penstock._extras import need
from penstock.connectors._float_digits import first_lost

__all__ = ["DoesNotFit", "TargetColumn", "fitting", "pieces_of"]

Column = Any
Fit = Callable[[Column], Column]

_MOST, _LEAST = str(2**63 - 1), str(-(2**63))
_SHOWN_CHARACTERS = 100

_WHOLE = r"\A(0|-?[1-9][0-9]*)\z"
_LONG_WHOLE = r"\A-?[1-9][0-9]{15,}\z"  # a double may not have all digits of it
_NUMBER = r"\A-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?\z"  # as in JSON
_MINUS_ZERO = r"\A-[0.]+([eE]|\z)"
_NOT_ZERO = r"\A-?[0.]*[1-9]"
_NUMBER_TO_SQLITE = r"\A[ \t\n\v\f\r]*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?[ \t\n\v\f\r]*\z"


class DoesNotFit(Exception):
    """A value has no exact form where it is to go; the message says which, and why."""


@dataclass(frozen=True)
class TargetColumn:
    """A column of a table that is there.

    Attributes:
        declared: its type, in the words of the table.
        is_strict: whether the table is STRICT.
        is_generated: whether the table computes it.
    """

    declared: str
    is_strict: bool = False
    is_generated: bool = False

    @property
    def affinity(self) -> str:
        """What SQLite converts values to (https://www.sqlite.org/datatype3.html, 3.1); BLOB is nothing."""
        upper = self.declared.upper()
        if self.is_strict and upper == "ANY":
            return "BLOB"
        if "INT" in upper:
            return "INTEGER"
        if any(word in upper for word in ("CHAR", "CLOB", "TEXT")):
            return "TEXT"
        if "BLOB" in upper or not upper:
            return "BLOB"
        return "REAL" if any(word in upper for word in ("REAL", "FLOA", "DOUB")) else "NUMERIC"


def fitting(kind: str, target: TargetColumn, *, is_decimal: bool = False) -> Fit | None:
    """Return what passes a column on to ``target``, or raises :class:`DoesNotFit` at a value that would not stay as it is.

    Args:
        kind: what type the column would have in a new table: BOOLEAN, INTEGER, REAL, TEXT or BLOB.
        target: where it goes.
        is_decimal: whether its text is that of decimals, all with the same number of digits behind the point.

    Returns:
        None where no value of the kind goes without being bent, or where it is not known to.
    """
    affinity = target.affinity
    if affinity in _AS_IT_IS[kind]:
        return _as_it_is
    if (kind, affinity) not in _LOOKING:
        return None
    fit, taken = _LOOKING[kind, affinity]
    if is_decimal and affinity == "INTEGER":
        fit = _whole_decimals

    def looked_at(column: Column) -> Column:
        try:
            return fit(column)
        except DoesNotFit as exc:
            raise DoesNotFit(f"{exc} would be another in the table's {target.declared}, which takes {taken}") from None

    return looked_at


def pieces_of(kind: str, target: TargetColumn) -> int:
    """Return how many fields the structs have that :func:`fitting` makes of a column; 1 where it makes none."""
    return 3 if (kind, target.affinity) == ("TEXT", "NUMERIC") else 1


# --- numbers ------------------------------------------------------------------------------------------------------


def _as_it_is(column: Column) -> Column:
    return column


def _exact_doubles(integers: Column) -> Column:
    compute, arrow = _compute(), _pyarrow()
    doubles = integers.cast(arrow.float64(), safe=False)
    is_below = compute.less(doubles, 2.0**63)  # which no integer is, and casting it back means nothing
    back = compute.if_else(is_below, doubles, 0.0).cast(arrow.int64())
    _refuse(integers, compute.invert(compute.and_(is_below, compute.equal(back, integers))))
    return doubles


def _whole_doubles(doubles: Column) -> Column:
    compute = _compute()
    is_whole = compute.equal(compute.floor(doubles), doubles)
    is_held = compute.and_(compute.greater_equal(doubles, -(2.0**63)), compute.less(doubles, 2.0**63))
    is_minus_zero = compute.equal(compute.divide(1.0, doubles), float("-inf"))
    _refuse(doubles, compute.or_(compute.invert(compute.and_(is_whole, is_held)), is_minus_zero))
    return doubles.cast(_pyarrow().int64())


# --- text ---------------------------------------------------------------------------------------------------------


def _whole_texts(texts: Column) -> Column:
    texts = _large(texts)
    _refuse(texts, _compute().invert(_matches(texts, _WHOLE)))
    _refuse(texts, _compute().invert(_is_held(texts)))
    return texts.cast(_pyarrow().int64())


def _whole_decimals(texts: Column) -> Column:
    """Take 1.00 for 1, which it is: a decimal has no other form."""
    whole = _compute().replace_substring_regex(_large(texts), r"\.0+\z", "")
    return _whole_texts(whole)


def _double_texts(texts: Column) -> Column:
    compute, texts = _compute(), _large(texts)
    _refuse(texts, compute.or_(compute.invert(_matches(texts, _NUMBER)), _matches(texts, _MINUS_ZERO)))
    doubles = texts.cast(_pyarrow().float64())
    is_vanished = compute.and_(compute.equal(doubles, 0.0), _matches(texts, _NOT_ZERO))
    _refuse(texts, compute.or_(compute.is_inf(doubles), is_vanished))
    if (lost := first_lost(texts, "double")) is not None:
        raise DoesNotFit(_shown(lost))
    return doubles


def _numbers_or_texts(column: Column) -> Column:
    """Return text as it is where SQLite sees no number, and numbers where it does: structs of text, double and integer.

    At most one of the three is not NULL, because a column of Arrow has one type.
    """
    texts = _large(column)
    is_number = _matches(texts, _NUMBER_TO_SQLITE)
    is_integer = _compute().and_(_matches(texts, _LONG_WHOLE), _is_held(texts))
    is_double = _compute().and_not(is_number, is_integer)
    doubles = _double_texts(_only(texts, is_double))
    _refuse_other_integers(texts, doubles)
    integers = _only(texts, is_integer).cast(_pyarrow().int64())
    others = _only(texts, _compute().invert(is_number))
    return _pyarrow().StructArray.from_arrays([others, doubles, integers], ["text", "double", "integer"])


def _refuse_other_integers(texts: Column, doubles: Column) -> None:
    """Refuse whole numbers of which a double has less than all digits: SQLite keeps them as integers, which show others."""
    compute = _compute()
    size = compute.abs(doubles)
    is_doubtful = compute.and_(compute.greater_equal(size, 2.0**53), compute.less(size, 2.0**63))
    doubtful = zip(texts.filter(is_doubtful).to_pylist(), doubles.filter(is_doubtful).to_pylist(), strict=True)
    for text, double in doubtful:
        if Decimal(text) != Decimal(double):
            raise DoesNotFit(_shown(text))


def _is_held(texts: Column) -> Column:
    """Tell of whole numbers without leading zeros, whether 64 bits hold them."""
    compute = _compute()
    digits = compute.utf8_ltrim(texts, "-")
    length = compute.binary_length(digits)
    is_short = compute.less(length, len(_MOST))
    is_below = compute.and_(compute.equal(length, len(_MOST)), compute.less_equal(digits, _MOST))
    return compute.or_(compute.or_(is_short, is_below), compute.equal(texts, _LEAST))


def _large(texts: Column) -> Column:
    return texts.cast(_pyarrow().large_string())  # views know no patterns


def _matches(texts: Column, pattern: str) -> Column:
    return _compute().match_substring_regex(texts, pattern)


def _only(texts: Column, mask: Column) -> Column:
    return _compute().if_else(mask, texts, None)


def _refuse(column: Column, mask: Column) -> None:
    if mask.true_count:
        raise DoesNotFit(_shown(column[mask.index(_pyarrow().scalar(value=True)).as_py()].as_py()))


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= _SHOWN_CHARACTERS else f"{shown[:_SHOWN_CHARACTERS]}..."


def _pyarrow() -> Any:
    return need("pyarrow", extra="arrow", why="load tables")


def _compute() -> Any:
    return need("pyarrow.compute", extra="arrow", why="load tables")


_AS_IT_IS = {
    "INTEGER": frozenset({"INTEGER", "NUMERIC", "TEXT", "BLOB"}),
    "BOOLEAN": frozenset({"INTEGER", "NUMERIC", "REAL", "BLOB"}),
    "REAL": frozenset({"REAL", "NUMERIC", "BLOB"}),
    "TEXT": frozenset({"TEXT", "BLOB"}),
    "BLOB": frozenset({"BLOB"}),
}

_DOUBLES = "numbers that a double gives back, written as in JSON"
_LOOKING: dict[tuple[str, str], tuple[Fit, str]] = {
    ("INTEGER", "REAL"): (_exact_doubles, "whole numbers that a double gives back"),
    ("REAL", "INTEGER"): (_whole_doubles, "whole numbers of 64 bits"),
    ("TEXT", "INTEGER"): (_whole_texts, "whole numbers of 64 bits, written as in JSON"),
    ("TEXT", "REAL"): (_double_texts, _DOUBLES),
    ("TEXT", "NUMERIC"): (_numbers_or_texts, f"text that is no number, and {_DOUBLES}"),
}
