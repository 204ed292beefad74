"""Turn Arrow columns into DuckDB columns without altering any value. :data:`LOAD_TABLE` lists every type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock._extras import need
from penstock.connectors._sql import quoted
from penstock.errors import SinkError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["LOAD_TABLE", "column_types", "loadable"]

LOAD_TABLE: tuple[tuple[str, str], ...] = (
    ("bool", "BOOLEAN"),
    ("int8, int16, int32, int64", "TINYINT, SMALLINT, INTEGER, BIGINT"),
    ("uint8, uint16, uint32, uint64", "UTINYINT, USMALLINT, UINTEGER, UBIGINT"),
    ("halffloat, float, double", "FLOAT, FLOAT, DOUBLE"),
    ("decimal(p, s), p <= 38", "DECIMAL(p, s)"),
    ("decimal256(p, s), p > 38", "VARCHAR, all digits"),
    ("string, large_string, string_view", "VARCHAR"),
    ("binary, fixed_size_binary, large_binary, binary_view", "BLOB"),
    ("date32, date64", "DATE"),
    ("time32, time64[us], time64[ns]", "TIME, TIME, TIME_NS"),
    ("timestamp[s, ms, us, ns]", "TIMESTAMP_S, TIMESTAMP_MS, TIMESTAMP, TIMESTAMP_NS"),
    ("timestamp with a time zone", "TIMESTAMPTZ; TIMESTAMPTZ_NS for nanoseconds"),
    ("duration, month_day_nano_interval", "INTERVAL; nanoseconds that are no whole microseconds are an error"),
    ("arrow.uuid, arrow.json", "UUID, JSON"),
    ("list, large_list, fixed_size_list", "T[]"),
    ("struct, map", "STRUCT, MAP"),
    ("dictionary, run_end_encoded", "as the values are"),
    ("null", "VARCHAR"),
)

ArrowType = Any  # pyarrow has no types of its own, and its stubs lack much
Column = Any

_MOST_DECIMAL_DIGITS = 38
_COLUMN_TYPES = {
    "bool": "BOOLEAN",
    "int8": "TINYINT",
    "int16": "SMALLINT",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "uint8": "UTINYINT",
    "uint16": "USMALLINT",
    "uint32": "UINTEGER",
    "uint64": "UBIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "large_string": "VARCHAR",
    "string_view": "VARCHAR",
    "binary": "BLOB",
    "large_binary": "BLOB",
    "binary_view": "BLOB",
    "date32[day]": "DATE",
    "time32[s]": "TIME",
    "time32[ms]": "TIME",
    "time64[us]": "TIME",
    "time64[ns]": "TIME_NS",
    "timestamp[s]": "TIMESTAMP_S",
    "timestamp[ms]": "TIMESTAMP_MS",
    "timestamp[us]": "TIMESTAMP",
    "timestamp[ns]": "TIMESTAMP_NS",
    "month_day_nano_interval": "INTERVAL",
}
_EXTENSIONS = {"arrow.uuid": "UUID", "arrow.json": "JSON", "arrow.bool8": "BOOLEAN"}


def column_types(schema: pa.Schema, where: str) -> list[str]:
    """Return the DuckDB type of each column to create.

    Raises:
        SinkError: DuckDB has none for one of them.
    """
    found = []
    for field in schema:
        kind = _column_type(_loaded_type(field.type))
        if kind is None:
            hint = "convert it to text before"
            raise SinkError(f"column {field.name!r} is {field.type}, which DuckDB can not hold", where=where, hint=hint)
        found.append(kind)
    return found


def loadable(batch: pa.RecordBatch, where: str) -> pa.RecordBatch:
    """Return the batch in types DuckDB takes as they are.

    Raises:
        SinkError: a value has more than microseconds where DuckDB has no more.
    """
    arrow = _pyarrow()
    columns = []
    for field, column in zip(batch.schema, batch.columns, strict=True):
        target = _loaded_type(field.type)
        try:
            columns.append(column if target.equals(field.type) else _stored(column).cast(target))
        except arrow.ArrowInvalid as exc:
            raise SinkError(f"column {field.name!r} can not be loaded: {exc}", where=where) from exc
        if arrow.types.is_interval(field.type) and _has_nanoseconds(column):
            message = f"column {field.name!r} holds an interval with nanoseconds; DuckDB's have microseconds"
            raise SinkError(message, where=where)
    made: pa.RecordBatch = arrow.RecordBatch.from_arrays(columns, names=[f"c{i}" for i in range(len(columns))])
    return made


def _loaded_type(kind: ArrowType) -> ArrowType:
    """Return the Arrow type to hand to DuckDB for one of ``kind``: the same, where DuckDB reads that."""
    arrow, types = _pyarrow(), _pyarrow().types
    if isinstance(kind, arrow.BaseExtensionType):
        return kind if kind.extension_name in _EXTENSIONS else _loaded_type(kind.storage_type)
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return _loaded_type(kind.value_type)
    if types.is_decimal(kind):
        return _loaded_decimal(kind)
    if types.is_struct(kind):
        return arrow.struct([arrow.field(part.name, _loaded_type(part.type)) for part in kind])
    if types.is_map(kind):
        return arrow.map_(_loaded_type(kind.key_type), _loaded_type(kind.item_type))
    if _is_list(kind):
        return arrow.list_(_loaded_type(kind.value_type))
    if types.is_fixed_size_binary(kind):
        return arrow.binary()
    known = {
        "halffloat": arrow.float32(),
        "date64[ms]": arrow.date32(),
        "duration[ns]": arrow.duration("us"),
        "null": arrow.string(),
    }
    return known.get(str(kind), kind)


def _loaded_decimal(kind: ArrowType) -> ArrowType:
    arrow = _pyarrow()
    precision, scale = kind.precision, kind.scale
    if scale < 0:
        precision, scale = precision - scale, 0
    if precision > _MOST_DECIMAL_DIGITS or scale > precision:
        return arrow.string()
    return arrow.decimal128(precision, scale)


def _column_type(kind: ArrowType) -> str | None:
    arrow, types = _pyarrow(), _pyarrow().types
    if isinstance(kind, arrow.BaseExtensionType):
        return _EXTENSIONS[kind.extension_name]
    if types.is_decimal(kind):
        return f"DECIMAL({kind.precision},{kind.scale})"
    if types.is_timestamp(kind) and kind.tz is not None:
        return "TIMESTAMPTZ_NS" if kind.unit == "ns" else "TIMESTAMP WITH TIME ZONE"
    if types.is_duration(kind):
        return "INTERVAL"
    if types.is_struct(kind):
        parts = [(part.name, _column_type(part.type)) for part in kind]
        named = ", ".join(f"{quoted(name)} {of}" for name, of in parts)
        return f"STRUCT({named})" if parts and all(of for _, of in parts) else None
    if types.is_map(kind):
        key, item = _column_type(kind.key_type), _column_type(kind.item_type)
        return f"MAP({key}, {item})" if key and item else None
    if _is_list(kind):
        inner = _column_type(kind.value_type)
        return f"{inner}[]" if inner else None
    return _COLUMN_TYPES.get(str(kind))


def _is_list(kind: ArrowType) -> bool:
    types = _pyarrow().types
    return bool(
        types.is_list(kind)
        or types.is_large_list(kind)
        or types.is_fixed_size_list(kind)
        or types.is_list_view(kind)
        or types.is_large_list_view(kind)
    )


def _stored(column: Column) -> Column:
    """Return the column without an extension type or run-end encoding around its values."""
    if isinstance(column.type, _pyarrow().BaseExtensionType):
        return _stored(column.storage)
    if _pyarrow().types.is_run_end_encoded(column.type):
        return _stored(need("pyarrow.compute", extra="arrow", why="load tables").run_end_decode(column))
    return column


def _has_nanoseconds(column: Column) -> bool:
    """Whether an interval has more than microseconds. Arrow computes nothing on them, so look at where they are kept."""
    arrow = _pyarrow()
    valid = column.drop_null()
    numbers = arrow.Array.from_buffers(arrow.int64(), 2 * (len(valid) + valid.offset), [None, valid.buffers()[1]])
    nanoseconds = numbers.slice(2 * valid.offset).to_pylist()[1::2]
    return any(each % 1000 for each in nanoseconds)


def _pyarrow() -> Any:
    return need("pyarrow", extra="arrow", why="hold tables")
