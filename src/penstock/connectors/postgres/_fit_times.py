"""What dates and times lose in PostgreSQL's: the time of day, the date, the zone, fractions of seconds."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from penstock._extras import need
from penstock.connectors.postgres._fit_looking import (
    Check,
    has_zone,
    is_text,
    matches,
    refuse_all,
    refuse_match,
    texts_of,
)

__all__ = ["time_check"]

_MOST_FRACTION = 6
_FULL_PRECISION = 0xFFFF
_HAS_SECONDS = 1 << 12  # of an interval's fields: nothing behind them that could be cut off
_TIME_OF_DAY = r"[T ]\d*[1-9]\d*:|:[\d.]*[1-9]"
_DATE = r"^\s*\d+-\d\d?-\d"
_OFFSET = r":\d\d(?:\.\d+)?\s*[+-]\d"
_NO_OFFSET = r"[+-]00(?::?00)*\s*$"


def time_check(kind: Any, type_name: str, modifier: int) -> Check | None:
    """Return what looks at a column of Arrow's ``kind`` for what the server's type drops or rounds; None for no doubt."""
    types = _pyarrow().types
    if type_name == "date":
        return _date_check(kind)
    if types.is_timestamp(kind) and type_name in {"time", "timetz"}:
        return lambda column: refuse_all(column, f"is {kind}, and the table's {type_name} would drop the date")
    if type_name == "interval":
        return _interval_check(kind, modifier)
    checks: list[Check] = []
    if is_text(kind) and type_name in {"time", "timetz"}:
        checks.append(lambda column: refuse_match(texts_of(column), _DATE, f"has a date, which {type_name} drops"))
    if is_text(kind) and type_name in {"timestamp", "time"}:
        checks.append(lambda column: _refuse_offsets(texts_of(column), type_name))
    if 0 <= modifier < _MOST_FRACTION:
        checks.append(lambda column: _refuse_finer(texts_of(column), modifier))
    return (lambda column: _all(checks, column)) if checks else None


def _date_check(kind: Any) -> Check | None:
    if has_zone(kind):
        return lambda column: refuse_all(column, f"is {kind}, and the table's date would drop the time")
    if _pyarrow().types.is_timestamp(kind) or is_text(kind):
        return lambda column: refuse_match(texts_of(column), _TIME_OF_DAY, "has a time of day, which date drops")
    return None


def _interval_check(kind: Any, modifier: int) -> Check | None:
    if modifier < 0:
        return None
    fields, precision = modifier >> 16, modifier & _FULL_PRECISION
    if not fields & _HAS_SECONDS:
        return lambda column: refuse_all(column, "may be finer than the table's interval, which has no seconds")
    if precision >= _MOST_FRACTION:
        return None
    types = _pyarrow().types
    if types.is_duration(kind):
        return lambda column: _refuse_finer(texts_of(_seconds(column)), precision)
    if types.is_interval(kind):
        return lambda column: _refuse_finer(texts_of(_nanoseconds(column)), precision)
    return lambda column: _refuse_finer(texts_of(column), precision)


def _seconds(column: Any) -> Any:
    """Return durations as decimals, exactly."""
    arrow = _pyarrow()
    microseconds = column.cast(arrow.duration("us")).cast(arrow.int64()).cast(arrow.decimal128(19, 0))
    return _compute().multiply(microseconds, arrow.scalar(Decimal("0.000001")))


def _nanoseconds(column: Any) -> Any:
    """Return the seconds of intervals, on which Arrow computes nothing."""
    found = [None if value is None else Decimal(value.nanoseconds).scaleb(-9) for value in column.to_pylist()]
    return _pyarrow().array(found, _pyarrow().decimal128(28, 9))


def _refuse_finer(texts: Any, digits: int) -> None:
    finer = rf"\.\d{{{digits}}}\d*[1-9]"
    refuse_match(texts, finer, f"is finer than the {digits} digits of a second that the table keeps")


def _refuse_offsets(texts: Any, name: str) -> None:
    offsets = texts.filter(_compute().invert(matches(texts, _NO_OFFSET)))
    refuse_match(offsets, _OFFSET, f"has an offset, which {name} drops")


def _all(checks: list[Check], column: Any) -> None:
    for check in checks:
        check(column)


def _pyarrow() -> Any:
    return need("pyarrow", extra="arrow", why="hold tables")


def _compute() -> Any:
    return need("pyarrow.compute", extra="arrow", why="look at columns")
