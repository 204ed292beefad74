"""Prepare Arrow columns for MySQL: choose the column's type, and turn values into text that MySQL reads exactly.

A whole column is turned into text at a time, by Arrow itself or by numpy; lists, structs and maps alone go through Python.
``LOAD_TABLE`` in :mod:`penstock.connectors.mysql._types` is the contract.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from penstock.connectors._batches import Batches
from penstock.connectors.mysql._arrays import Array, compute, numpy, pyarrow
from penstock.connectors.mysql._temporal import texts_of_durations
from penstock.flow.contracts import Formats

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["BYTES", "JSON", "NUMBER", "TEXT", "LoadColumn", "Text", "Unfit", "load_column"]

NUMBER, TEXT, BYTES, JSON = "number", "text", "bytes", "json"
"""How a value is written into SQL: as it is; in quotes; as hexadecimal digits; JSON, in quotes as well."""

_MOST_DIGITS, _MOST_SCALE = 65, 30
_LONGEST_TIME_MICROSECONDS = ((838 * 60 + 59) * 60 + 59) * 1_000_000
_INTEGER_TYPES = {8: "TINYINT", 16: "SMALLINT", 32: "INT", 64: "BIGINT"}

Text = Callable[[Array], Array]


class Unfit(Exception):
    """A value that no type of MySQL holds; the message says what."""


@final
@dataclass(frozen=True)
class LoadColumn:
    """A column to be loaded.

    Attributes:
        name: of it.
        sql_type: what it is created with.
        kind: how its values are written.
        text: turns Arrow's values into text, NULL into NULL. Raises :class:`Unfit`, or Arrow's own errors.
    """

    name: str
    sql_type: str
    kind: str
    text: Text


def load_column(field: pa.Field[Any], formats: Formats) -> LoadColumn:
    """Choose for one field.

    Raises:
        Unfit: MySQL has nothing like its type.
    """
    return LoadColumn(field.name, *_choice(field.type, formats))


def _choice(kind: Any, formats: Formats) -> tuple[str, str, Text]:
    arrow, types = pyarrow(), pyarrow().types
    if isinstance(kind, arrow.BaseExtensionType):
        if kind.extension_name == "arrow.uuid":
            return "CHAR(36) CHARACTER SET ascii", TEXT, _uuids
        sql_type, written, text = _choice(kind.storage_type, formats)
        return sql_type, written, lambda column: text(column.storage)
    if types.is_dictionary(kind):
        sql_type, written, text = _choice(kind.value_type, formats)
        return sql_type, written, lambda column: text(column.dictionary_decode())
    if types.is_nested(kind):
        return "JSON", JSON, lambda column: _json(column, formats)
    for choose in (_number, _instant, _string):
        if (found := choose(kind)) is not None:
            return found
    raise Unfit(f"MySQL has no type for {kind}")


def _number(kind: Any) -> tuple[str, str, Text] | None:
    arrow, types = pyarrow(), pyarrow().types
    if types.is_boolean(kind):
        return "BOOLEAN", NUMBER, lambda column: column.cast(arrow.int8()).cast(arrow.string())
    if types.is_integer(kind):
        unsigned = "" if types.is_signed_integer(kind) else " UNSIGNED"
        return _INTEGER_TYPES[kind.bit_width] + unsigned, NUMBER, _plain
    if types.is_floating(kind):
        return "DOUBLE" if kind.bit_width == 64 else "FLOAT", NUMBER, _floats
    if types.is_decimal(kind):
        fits = kind.precision <= _MOST_DIGITS and 0 <= kind.scale <= min(_MOST_SCALE, kind.precision)
        return (f"DECIMAL({kind.precision},{kind.scale})", NUMBER, _plain) if fits else ("LONGTEXT", TEXT, _plain)
    return None


def _instant(kind: Any) -> tuple[str, str, Text] | None:
    arrow, types = pyarrow(), pyarrow().types
    if types.is_date(kind):
        return "DATE", TEXT, lambda column: column.cast(arrow.date32()).cast(arrow.string())
    if types.is_timestamp(kind):
        return "DATETIME(6)" if kind.tz is None else "TIMESTAMP(6) NULL", TEXT, _timestamps
    if types.is_time(kind):
        return "TIME(6)", TEXT, lambda column: column.cast(arrow.time64("us")).cast(arrow.string())
    return ("TIME(6)", TEXT, _durations) if types.is_duration(kind) else None


def _string(kind: Any) -> tuple[str, str, Text] | None:
    types = pyarrow().types
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind) or types.is_null(kind):
        return "LONGTEXT", TEXT, _plain
    is_bytes = types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind)
    return ("LONGBLOB", BYTES, _hexadecimal) if is_bytes or types.is_fixed_size_binary(kind) else None


# --- to text ----------------------------------------------------------------------------------------------------


def _plain(column: Array) -> Array:
    return column.cast(pyarrow().string())


def _floats(column: Array) -> Array:
    """Digits of the double that a float is: those of the float itself, read as a double first, could be off by one."""
    arrow = pyarrow()
    doubles = column.cast(arrow.float64())
    if not compute().all(compute().is_finite(doubles), min_count=0).as_py():
        raise Unfit("NaN or an infinity, which MySQL does not have")
    return doubles.cast(arrow.string())


def _timestamps(column: Array) -> Array:
    """In UTC, as the session is. Nanoseconds that microseconds do not hold are an error of Arrow's."""
    arrow = pyarrow()
    return (
        column.cast(arrow.timestamp("us", column.type.tz))
        .view(arrow.int64())
        .view(arrow.timestamp("us"))
        .cast(arrow.string())
    )


def _durations(column: Array) -> Array:
    arrow, np = pyarrow(), numpy()
    values = column.cast(arrow.duration("us")).view(arrow.int64())
    microseconds = values.fill_null(0).to_numpy()
    if (np.abs(microseconds) > _LONGEST_TIME_MICROSECONDS).any():
        raise Unfit("a duration beyond 838:59:59, which is as long as TIME gets")
    valid = column.is_valid().to_numpy(zero_copy_only=False) if column.null_count else None
    return texts_of_durations(microseconds, valid)


def _hexadecimal(column: Array) -> Array:
    """Two digits for each byte: no character set can take offence at those."""
    arrow, np = pyarrow(), numpy()
    column = column.cast(arrow.binary())
    offsets = np.frombuffer(column.buffers()[1], np.int32)[column.offset : column.offset + len(column) + 1]
    data = np.frombuffer(column.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
    digits = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), "u2")[data]
    valid = column.is_valid().to_numpy(zero_copy_only=False) if column.null_count else None
    bitmap = None if valid is None else arrow.py_buffer(np.packbits(valid, bitorder="little"))
    buffers = [bitmap, arrow.py_buffer((offsets - offsets[0]) * np.int32(2)), arrow.py_buffer(digits)]
    return arrow.Array.from_buffers(arrow.string(), len(column), buffers)


def _uuids(column: Array) -> Array:
    values = [None if value is None else str(uuid.UUID(bytes=value)) for value in column.storage.to_pylist()]
    return pyarrow().array(values, pyarrow().string())


class _Collected:
    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes, /) -> int:
        self.data += data
        return len(data)


def _json(column: Array, formats: Formats) -> Array:
    """Return each value as NDJSON writes it, without the object around it."""
    arrow = pyarrow()
    batch = arrow.RecordBatch.from_arrays([column], names=["v"])
    out = _Collected()
    formats.format_by_name("ndjson").encode(Batches(batch.schema, iter([batch])), out)
    lines = bytes(out.data).split(b"\n")[: len(column)]
    texts = [line[len(b'{"v":') : -1].decode() for line in lines]
    is_valid = column.is_valid().to_pylist()
    return arrow.array([text if ok else None for text, ok in zip(texts, is_valid, strict=True)], arrow.string())
