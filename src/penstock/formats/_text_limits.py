"""Refuse values that text formats cannot hold, where the writers would silently write something else.

For values out of range arro3 writes the text of its own error (``"ERROR: Cast error: ..."``) or ``<invalid>``, and Arrow's
CSV writer ``<value out of range: ...>`` or, with a time zone, simply a wrong date. So the smallest and the largest value of
each batch are checked before it is written, also inside lists, structs, maps and dictionaries. Years may be 0001 to 9999,
as readers of ISO 8601 understand them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from penstock.errors import ConfigurationError
from penstock.formats._arrow import ArrowType, Column, pyarrow, pyarrow_compute
from penstock.formats._nested import entries, parts, type_parts
from penstock.formats._refusals import is_string

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["TextLimits"]

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_DAY_SECONDS = 86_400
_FIRST_DAY = -719_162  # 0001-01-01
_LAST_DAY = 2_932_896  # 9999-12-31
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1
_YEARS = "outside the years 0001 to 9999"
_WHOLE_MINUTES_SINCE = 63_593_070
"""1972-01-07, when the last zone (Monrovia's) gave up an offset from UTC that has seconds."""
_HOW = "make it NULL or text before, or write Parquet or Arrow, which keep it"


class TextLimits:
    """What values the columns of one stream of batches may have.

    Args:
        schema: of the batches.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._columns = [
            (index, field.name) for index, field in enumerate(schema) if any(map(_is_limited, type_parts(field.type)))
        ]

    def check(self, batch: pa.RecordBatch) -> None:
        """Look at every value once, a column at a time.

        Raises:
            ConfigurationError: one has no form in text; names the column and the value.
        """
        for index, name in self._columns:
            for part in parts(batch.column(index)):
                for reason in _reasons(part):
                    raise ConfigurationError(f"column {name!r} {reason}; {_HOW}")


def _is_limited(kind: ArrowType) -> bool:
    types = pyarrow().types
    return bool(types.is_temporal(kind) or types.is_map(kind) or types.is_dictionary(kind) or is_string(kind))


def _reasons(part: Column) -> Iterator[str]:
    types = pyarrow().types
    kind = part.type
    if is_string(kind) or types.is_date64(kind):
        yield from _invalid(part)
    if types.is_dictionary(kind) and part.dictionary.null_count:
        yield "has NULL among the values of a dictionary inside, which would be written as a value"
    if types.is_map(kind):
        yield from _repeated_key(part)
    if types.is_timestamp(kind):
        yield from _timestamp(part)
    elif types.is_date(kind):
        day = 1 if types.is_date32(kind) else _DAY_SECONDS * 1000
        yield from _outside(part, _FIRST_DAY * day, _LAST_DAY * day, _YEARS)
    elif types.is_time(kind):
        yield from _outside(part, 0, _DAY_SECONDS * _PER_SECOND[kind.unit] - 1, "outside a day")
    elif types.is_duration(kind) and kind.unit in {"s", "ms"}:
        most = _HIGHEST * _PER_SECOND[kind.unit] // 1000
        yield from _outside(part, -most, most, "longer than text has room for")


def _invalid(part: Column) -> Iterator[str]:
    try:
        part.validate(full=True)
    except pyarrow().ArrowInvalid as exc:
        yield f"has a value that is no {part.type}: {exc}"


def _repeated_key(maps: Column) -> Iterator[str]:
    arrow, compute = pyarrow(), pyarrow_compute()
    lists = entries(maps)
    keys = lists.flatten().flatten()[0].cast(arrow.large_string())
    pairs = arrow.table({"map": compute.list_parent_indices(lists), "key": keys})
    counted = pairs.group_by(["map", "key"], use_threads=False).aggregate([([], "count_all")])
    repeated = counted.filter(compute.greater(counted["count_all"], 1))
    if repeated.num_rows:
        yield f"has a map with two values for {repeated['key'][0].as_py()!r}, which a JSON object can not hold"


def _timestamp(part: Column) -> Iterator[str]:
    per_second = _PER_SECOND[part.type.unit]
    day = _DAY_SECONDS * per_second
    low, high = _FIRST_DAY * day, (_LAST_DAY + 1) * day - 1
    if _is_utc(part.type):
        yield from _outside(part, low, high, _YEARS)
        return
    # As far as a zone can be from UTC; which also keeps the time there within int64.
    yield from _outside(part, max(low, _LOWEST) - day, min(high, _HIGHEST) + day, _YEARS)
    if (found := _range(part)) is None:
        return
    least, most = found
    if not _LOWEST + day <= least <= most <= _HIGHEST - day:
        yield f"has a {part.type} too close to the end of its range to be converted to its zone"
        return
    edges = pyarrow().array([least, most], pyarrow().int64()).cast(part.type)
    yield from _outside(pyarrow_compute().local_timestamp(edges), low, high, f"{_YEARS} in {part.type.tz}")
    if least < _WHOLE_MINUTES_SINCE * per_second:
        yield from _seconds_in_offset(part, per_second)


def _seconds_in_offset(part: Column, per_second: int) -> Iterator[str]:
    """An offset is written in hours and minutes; with its seconds left out, the text would be another instant."""
    arrow, compute = pyarrow(), pyarrow_compute()
    moments = part.view(arrow.int64())
    offsets = compute.subtract(compute.local_timestamp(part).view(arrow.int64()), moments)
    minute = 60 * per_second
    bent = compute.not_equal(compute.multiply(compute.divide(offsets, minute), minute), offsets)
    at = compute.index(bent, value=True).as_py()
    if at >= 0:
        yield (
            f"has an instant ({_shown(part, moments[at].as_py())}) whose offset from UTC in {part.type.tz} has seconds, "
            "which ISO 8601 has no room for; convert the column to UTC"
        )


def _outside(part: Column, low: int, high: int, said: str) -> Iterator[str]:
    if (found := _range(part)) is None:
        return
    least, most = found
    if least < low or most > high:
        yield f"has a {part.type} {said} ({_shown(part, least if least < low else most)})"


def _range(part: Column) -> tuple[int, int] | None:
    """Return the smallest and the largest value as numbers, None when there is none but NULL."""
    arrow = pyarrow()
    numbers = part.view(arrow.int32() if part.type.bit_width == 32 else arrow.int64())
    found = pyarrow_compute().min_max(numbers)
    return (found["min"].as_py(), found["max"].as_py()) if found["min"].is_valid else None


def _shown(part: Column, value: int) -> str:
    types = pyarrow().types
    unit = "days" if types.is_date32(part.type) else getattr(part.type, "unit", "ms")
    since = " since 1970-01-01" if types.is_timestamp(part.type) or types.is_date(part.type) else ""
    return f"{value} {unit}{since}"


def _is_utc(kind: ArrowType) -> bool:
    return not kind.tz or kind.tz in {"UTC", "Etc/UTC", "+00:00"}
