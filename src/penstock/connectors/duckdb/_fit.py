"""Load a column into one of another type, refusing values that the cast would change. DuckDB itself checks each value.

Its own casts round (1.5 becomes 2 in an INTEGER), truncate (a time of day in a DATE) and guess ('1e3' becomes 1000). So
each value is cast with TRY_CAST and loaded only if the result is still the same value; otherwise ``error()`` ends the load.
What "the same" means for two types is an SQL condition on ``{v}``, the value, and ``{f}``, the result of the cast; mostly,
that casting back gives the value. Text has many ways of writing one value: see
:mod:`penstock.connectors.duckdb._fit_text`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from penstock.connectors._sql import literal
from penstock.connectors.duckdb._connection import NOT_KEPT
from penstock.connectors.duckdb._fit_text import text_condition

__all__ = ["Fit", "fit", "is_kept_by_type", "selection"]

_SHOWN_CHARACTERS = 80  # of such a value

# Bits for the number, and whether one of them is a sign.
_INTEGERS = {
    "TINYINT": (7, True),
    "SMALLINT": (15, True),
    "INTEGER": (31, True),
    "BIGINT": (63, True),
    "HUGEINT": (127, True),
    "UTINYINT": (8, False),
    "USMALLINT": (16, False),
    "UINTEGER": (32, False),
    "UBIGINT": (64, False),
    "UHUGEINT": (128, False),
}
_FLOATS = frozenset({"FLOAT", "DOUBLE"})
_TIMESTAMPS = frozenset({"TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP", "TIMESTAMP_NS"})
_TIMES = frozenset({"TIME", "TIME_NS"})
_ZONED = frozenset({"TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS"})
# Without the zone, and which type that has.
_WALL = {
    "TIMESTAMP WITH TIME ZONE": ("make_timestamp(epoch_us({v}))", "TIMESTAMP"),
    "TIMESTAMPTZ_NS": ("make_timestamp_ns(epoch_ns({v}))", "TIMESTAMP_NS"),
}
# Beyond the years of microseconds, some casts of DuckDB end in an internal error, which closes the database for good: that to
# VARCHAR, and the one from milliseconds to seconds. That to TIMESTAMP is NULL there.
_YEARS = "BETWEEN TIMESTAMP '290309-12-22 (BC) 00:00:00' AND TIMESTAMP '294247-01-01 00:00:00'"
_IS_SAFE = {
    "TIMESTAMP_S": f"TRY_CAST({{v}} AS TIMESTAMP) {_YEARS}",
    "TIMESTAMP_MS": f"TRY_CAST({{v}} AS TIMESTAMP) {_YEARS}",
    "TIMESTAMP": f"{{v}} {_YEARS}",
    "TIMESTAMP WITH TIME ZONE": f"{_WALL['TIMESTAMP WITH TIME ZONE'][0]} {_YEARS}",
}
# Any value of the first is one of the others.
_KEPT = {
    "JSON": frozenset({"VARCHAR"}),
    "UUID": frozenset({"VARCHAR"}),
    "FLOAT": frozenset({"DOUBLE"}),
    "TIME": frozenset({"TIME_NS"}),
}

_CAST = "TRY_CAST({v} AS {target})"
_GOES_BACK = "TRY_CAST({f} AS {source}) = {v}"


@final
@dataclass(frozen=True)
class Fit:
    """How a column goes into one of another type.

    Attributes:
        column: its name, for messages.
        source: its type.
        target: the type in the table.
        cast: what is loaded, in SQL, about ``{v}``; NULL where there is no such thing.
        condition: whether ``{f}``, which that is, is the value still.
    """

    column: str
    source: str
    target: str
    cast: str
    condition: str

    def casting(self, value: str, made: str) -> str:
        """Return the expression that casts a column ``value`` and calls it ``made``."""
        return f"{self._about(self.cast, value, made)} AS {made}"

    def selecting(self, value: str, made: str) -> str:
        """Return the expression for ``made``, which raises where it is not the same as ``value``."""
        condition = self._about(self.condition, value, made)
        return f"CASE WHEN {value} IS NULL OR ({condition}) THEN {made} ELSE error({self._message(value)}) END"

    def _about(self, template: str, value: str, made: str) -> str:
        text = template.replace("{v}", value).replace("{f}", made).replace("{source}", self.source)
        return text.replace("{target}", self.target)  # the last: the words of an ENUM may be anything

    def _message(self, value: str) -> str:
        # On one line, however the value is written: what comes after an empty line is taken for advice of DuckDB's.
        text = f"coalesce({_if_safe(self.source, 'CAST({v} AS VARCHAR)')}, 'infinity, or a year that DuckDB can not write')"
        shown = f"replace(left({text.replace('{v}', value)}, {_SHOWN_CHARACTERS}), chr(10), ' ')"
        declared = self.target if len(self.target) <= _SHOWN_CHARACTERS else f"{self.target[:_SHOWN_CHARACTERS]}..."
        beginning = literal(f"column {self.column!r} is {declared}{NOT_KEPT}'")
        return f"concat({beginning}, {shown}, '''')"


def selection(fits: Sequence[Fit | None], batch: str) -> str:
    """Return the query of all columns ``c0``, ``c1``, ... of ``batch``; those with a fit are cast and looked at."""
    pairs = [(fit, f"c{index}", f"f{index}") for index, fit in enumerate(fits)]
    casts = [fit.casting(value, made) for fit, value, made in pairs if fit is not None]
    values = ", ".join(value if fit is None else fit.selecting(value, made) for fit, value, made in pairs)
    source = f"(SELECT *, {', '.join(casts)} FROM {batch})" if casts else batch  # noqa: S608 - names of our own
    return f"SELECT {values} FROM {source}"  # noqa: S608 - names of our own, and types as DuckDB spells them


def is_kept_by_type(source: str, target: str) -> bool:
    """Whether any value of the type ``source`` is one of ``target``: nothing needs to be looked at."""
    if source == target or target in _KEPT.get(source, ()):
        return True
    if source in _INTEGERS and target in _INTEGERS:
        (bits, is_signed), (room, has_sign) = _INTEGERS[source], _INTEGERS[target]
        return bits <= room and (has_sign or not is_signed)
    if _is_decimal(source) and _is_decimal(target):
        (digits, scale), (wide, wide_scale) = _digits(source), _digits(target)
        return scale <= wide_scale and digits - scale <= wide - wide_scale
    return source in _INTEGERS and target == "VARCHAR"


def fit(column: str, source: str, target: str) -> Fit | None:
    """Return how a column of the type ``source`` goes into one of ``target``; None where the types refuse it."""
    found = _text(target) if source == "VARCHAR" else _number(source, target) or _time(source, target)
    if found is None:
        return None
    cast, condition = found
    return Fit(column, source, target, cast, condition)


def _text(target: str) -> tuple[str, str] | None:
    condition = text_condition(target)
    return None if condition is None else (_CAST, condition)


def _number(source: str, target: str) -> tuple[str, str] | None:
    if source in _FLOATS:
        return _from_float(target)
    if _is_decimal(source):
        return _from_decimal(target)
    if source not in _INTEGERS:
        return None
    if target in _FLOATS:
        return _CAST, "TRY_CAST({f} AS HUGEINT) = {v}"  # not back: 2^63 - 1 might come from 2^63
    return (_CAST, _GOES_BACK) if target in _INTEGERS or _is_decimal(target) or target == "BIGNUM" else None


def _from_float(target: str) -> tuple[str, str] | None:
    if target in _FLOATS or target in _INTEGERS:
        return _CAST, _GOES_BACK  # NaN equals NaN in DuckDB
    if not _is_decimal(target):
        return None
    # A whole number has its own digits, another one those it is written as. DuckDB's own way multiplies by a power of ten.
    whole = "TRY_CAST(TRY_CAST({v} AS HUGEINT) AS {target})"
    written = "TRY_CAST(CAST({v} AS VARCHAR) AS {target})"
    cast = f"CASE WHEN {{v}} = trunc({{v}}) THEN {whole} ELSE {written} END"
    return cast, "TRY_CAST(CAST({f} AS VARCHAR) AS {source}) = {v}"


def _from_decimal(target: str) -> tuple[str, str] | None:
    if target in _INTEGERS or _is_decimal(target):
        return _CAST, _GOES_BACK
    if target not in _FLOATS:
        return None
    # By its digits: DuckDB's own way divides by a power of ten, which is off by one in the last place at times.
    as_written = "TRY_CAST(CAST({f} AS VARCHAR) AS {source}) = {v}"
    exactly = "TRY_CAST(TRY_CAST({f} AS HUGEINT) AS {source}) = {v} AND {f} = trunc({f})"
    return "TRY_CAST(CAST({v} AS VARCHAR) AS {target})", f"{as_written} OR ({exactly})"


def _time(source: str, target: str) -> tuple[str, str] | None:
    if source in _ZONED and target in _TIMESTAMPS:
        # The date and time of UTC, by the number of ticks: no calendar and no zone of a session comes into it.
        wall, plain = _WALL[source]
        return _if_safe(source, _timestamp_cast(wall, plain, target)), f"TRY_CAST({{f}} AS {plain}) = {wall}"
    if source in _TIMESTAMPS and target in _TIMESTAMPS:
        return _if_safe(source, _timestamp_cast("{v}", source, target)), _GOES_BACK
    is_fitting = (
        (source in _TIMESTAMPS and target == "DATE")
        or (source == "DATE" and target in _TIMESTAMPS)
        or (source in _TIMES and target in _TIMES)
        or (source in _ZONED and target in _ZONED)
    )
    return (_CAST, _GOES_BACK) if is_fitting else None


def _timestamp_cast(value: str, source: str, target: str) -> str:
    if (source, target) == ("TIMESTAMP_NS", "TIMESTAMP_S"):  # DuckDB has no cast for these two
        value = f"TRY_CAST({value} AS TIMESTAMP_MS)"
    return f"TRY_CAST({value} AS {target})"


def _if_safe(source: str, expression: str) -> str:
    """Return the expression, which is NULL where DuckDB would fail for good."""
    return f"CASE WHEN {_IS_SAFE[source]} THEN {expression} END" if source in _IS_SAFE else expression


def _is_decimal(kind: str) -> bool:
    return kind.startswith("DECIMAL(") and kind.endswith(")")  # DECIMAL(4,1)[] is a list


def _digits(kind: str) -> tuple[int, int]:
    precision, _, scale = kind.removeprefix("DECIMAL(").removesuffix(")").partition(",")
    return int(precision), int(scale)
