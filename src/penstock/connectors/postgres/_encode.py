"""Give Arrow columns the text PostgreSQL takes, whole columns at a time, before the CSV format writes them.

Only what CSV has no form for, or another one than PostgreSQL: bytes are hexadecimal, lists are array literals,
durations are intervals. What PostgreSQL would bend without a word (nanoseconds it rounds, NaN inside JSON is null) is
refused.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from typing import Any

from penstock._extras import need
from penstock.connectors.postgres._load_types import is_array, is_bytes

__all__ = ["Converter", "Unloadable", "chained", "converter", "unwrapping"]

Converter = Callable[[Any], Any]

_NANOSECONDS = 1000


class Unloadable(Exception):
    """A value that PostgreSQL would bend. The message says which, and what to do."""


def converter(kind: Any, *, into_json: bool) -> Converter | None:
    """Return what turns a column of Arrow's ``kind`` into one that the CSV format writes as PostgreSQL reads it.

    Args:
        kind: the Arrow type.
        into_json: whether the target is json or jsonb, where a list is JSON and not an array.

    Returns:
        A function that may raise :class:`Unloadable`; None where nothing needs to be done.
    """
    arrow, types = _pyarrow(), _pyarrow().types
    if isinstance(kind, arrow.BaseExtensionType) and kind.extension_name == "arrow.uuid":
        return _uuid_text
    unwrap = unwrapping(kind)
    if unwrap is not None:
        step, inside = unwrap
        return chained(step, converter(inside, into_json=into_json))
    if is_bytes(kind):
        return _bytea_text
    if types.is_float16(kind):
        return lambda column: column.cast(arrow.float32())
    if types.is_timestamp(kind) and kind.unit == "ns":
        return _to_microseconds(arrow.timestamp("us", kind.tz))
    if types.is_time64(kind) and kind.unit == "ns":
        return _to_microseconds(arrow.time64("us"))
    if types.is_duration(kind):
        return chained(_to_microseconds(arrow.duration("us")), _interval_text)
    if types.is_interval(kind):
        return _checked_interval
    if types.is_nested(kind):
        return _checked_json if into_json or not is_array(kind) else _array_text
    return None


def unwrapping(kind: Any) -> tuple[Converter, Any] | None:
    """Return what takes an extension or dictionary off a column, and the type below; None where there is none."""
    arrow, types = _pyarrow(), _pyarrow().types
    if isinstance(kind, arrow.BaseExtensionType):
        return (lambda column: column.storage), kind.storage_type
    if types.is_dictionary(kind):
        return (lambda column: column.dictionary_decode()), kind.value_type
    return None


def chained(first: Converter, second: Converter | None) -> Converter:
    """Return both, one after the other."""
    return first if second is None else lambda column: second(first(column))


# --- scalars ------------------------------------------------------------------------------------------------------


def _to_microseconds(kind: Any) -> Converter:
    def cast(column: Any) -> Any:
        try:
            return column.cast(kind)
        except _pyarrow().ArrowInvalid as exc:
            raise Unloadable(f"{exc}; PostgreSQL keeps microseconds, so round it before or make it text") from exc

    return cast


def _interval_text(column: Any) -> Any:
    arrow = _pyarrow()
    return _joined("", column.cast(arrow.int64()).cast(arrow.string()), " microseconds")


def _checked_interval(column: Any) -> Any:
    """Leave it to the CSV format, whose words for it PostgreSQL understands."""
    if any(value is not None and value.nanoseconds % _NANOSECONDS for value in column.to_pylist()):
        raise Unloadable("an interval with nanoseconds; PostgreSQL keeps microseconds")
    return column


def _bytea_text(column: Any) -> Any:
    return _joined("\\x", _hex_text(column), "")


def _uuid_text(column: Any) -> Any:
    return _hex_text(column.storage)  # which PostgreSQL reads without hyphens, too


def _hex_text(column: Any) -> Any:
    """Return bytes as hexadecimal text, all of them in one step."""
    arrow, compute = _pyarrow(), _compute()
    column = column.cast(arrow.large_binary())
    _validity, offsets_buffer, data = column.buffers()
    offsets = arrow.Array.from_buffers(arrow.int64(), len(column) + 1, [None, offsets_buffer], offset=column.offset)
    first, last = offsets[0].as_py(), offsets[-1].as_py()
    encoded = binascii.hexlify(memoryview(data)[first:last]) if last > first else b""
    doubled = compute.multiply(compute.subtract(offsets, first), 2)
    buffers = [None, doubled.buffers()[1], arrow.py_buffer(encoded)]
    texts = arrow.Array.from_buffers(arrow.large_string(), len(column), buffers)
    return compute.if_else(column.is_valid(), texts, None).cast(arrow.string())


# --- nested -------------------------------------------------------------------------------------------------------


def _array_text(column: Any) -> Any:
    """Return lists as array literals: ``{"1",NULL,"two words"}``."""
    arrow, compute = _pyarrow(), _compute()
    items = _quoted_items(column.flatten())
    lengths = compute.fill_null(compute.list_value_length(column), 0).cast(arrow.int32())
    offsets = arrow.concat_arrays([arrow.array([0], arrow.int32()), compute.cumulative_sum(lengths)])
    literals = _joined("{", compute.binary_join(arrow.ListArray.from_arrays(offsets, items), ","), "}")
    return compute.if_else(column.is_valid(), literals, None)


def _quoted_items(items: Any) -> Any:
    compute = _compute()
    convert = converter(items.type, into_json=False)
    texts = (items if convert is None else convert(items)).cast(_pyarrow().string())
    escaped = compute.replace_substring(compute.replace_substring(texts, "\\", "\\\\"), '"', '\\"')
    return compute.fill_null(_joined('"', escaped, '"'), "NULL")


def _checked_json(column: Any) -> Any:
    """Leave it to the CSV format, which writes it as JSON."""
    if _has_non_finite(column):
        raise Unloadable("NaN or infinity inside a list or struct, for which JSON has no number; take it apart before")
    return column


def _has_non_finite(column: Any) -> bool:
    types, compute = _pyarrow().types, _compute()
    if types.is_floating(column.type):
        return compute.all(compute.is_finite(column), min_count=0).as_py() is False
    if types.is_struct(column.type):
        return any(_has_non_finite(child) for child in column.flatten())
    if types.is_map(column.type):
        return _has_non_finite(column.items)
    return types.is_nested(column.type) and _has_non_finite(column.flatten())


def _joined(before: str, column: Any, after: str) -> Any:
    return _compute().binary_join_element_wise(before, column, after, "")


def _pyarrow() -> Any:
    return need("pyarrow", extra="arrow", why="hold tables")


def _compute() -> Any:
    return need("pyarrow.compute", extra="arrow", why="convert columns")
