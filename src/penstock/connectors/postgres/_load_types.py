"""From Arrow's types to the columns that loading into PostgreSQL creates. ``LOAD_TABLE`` has the whole story."""

from __future__ import annotations

from typing import Any

from penstock._extras import need
from penstock.errors import ConfigurationError

__all__ = ["LOAD_TABLE", "column_type", "is_array", "is_bytes"]

LOAD_TABLE: tuple[tuple[str, str], ...] = (
    ("bool", "boolean"),
    ("int8, int16, uint8", "smallint"),
    ("int32, uint16", "integer"),
    ("int64, uint32", "bigint"),
    ("uint64", "numeric(20, 0)"),
    ("halffloat, float", "real"),
    ("double", "double precision"),
    ("decimal (p, s)", "numeric(p, s); with s < 0 or s > p: numeric"),
    ("date32, date64", "date"),
    ("timestamp", "timestamp; nanoseconds only where nothing is lost"),
    ("timestamp with a time zone", "timestamptz; the same"),
    ("time32, time64", "time; the same"),
    ("duration, month_day_nano_interval", "interval; the same"),
    ("string of any layout, null", "text"),
    ("binary of any layout", "bytea"),
    ("dictionary", "as its values"),
    ("extension arrow.uuid", "uuid"),
    ("extension arrow.json", "json"),
    ("list of one of the above, of any layout", "an array of it"),
    ("struct, map, list of lists or of month_day_nano_interval", "jsonb"),
)

_NAMES: dict[str, str] = {
    "bool": "boolean",
    "int8": "smallint",
    "int16": "smallint",
    "int32": "integer",
    "int64": "bigint",
    "uint8": "smallint",
    "uint16": "integer",
    "uint32": "bigint",
    "uint64": "numeric(20, 0)",
    "halffloat": "real",
    "float": "real",
    "double": "double precision",
    "date32[day]": "date",
    "date64[ms]": "date",
    "month_day_nano_interval": "interval",
    "string": "text",
    "large_string": "text",
    "string_view": "text",
    "null": "text",
    "binary": "bytea",
    "large_binary": "bytea",
    "binary_view": "bytea",
}
_EXTENSIONS = {"arrow.uuid": "uuid", "arrow.json": "json"}


def column_type(name: str, kind: Any) -> str:
    """Return the type of the column that is created for Arrow's ``kind``.

    Args:
        name: of the column, for messages.
        kind: its Arrow type.

    Raises:
        ConfigurationError: there is none.
    """
    found = _scalar(kind)
    if found is not None:
        return found
    if is_array(kind):
        return f"{_scalar(kind.value_type)}[]"
    if _is_json(kind):
        return "jsonb"
    raise ConfigurationError(f"column {name!r}: PostgreSQL has no type for {kind}; turn it into another before")


def is_array(kind: Any) -> bool:
    """Whether it becomes an array: a list of what a column of its own could hold."""
    if not _is_list(kind) or _pyarrow().types.is_interval(kind.value_type):  # which Arrow turns into no text of its own
        return False
    return _scalar(kind.value_type) is not None


def is_bytes(kind: Any) -> bool:
    """Whether it becomes bytea."""
    types = _pyarrow().types
    is_plain = types.is_binary(kind) or types.is_large_binary(kind)
    return bool(is_plain or types.is_binary_view(kind) or types.is_fixed_size_binary(kind))


def _is_list(kind: Any) -> bool:
    types = _pyarrow().types
    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return bool(is_list or types.is_list_view(kind) or types.is_large_list_view(kind))


def _is_json(kind: Any) -> bool:
    types = _pyarrow().types
    if not (_is_list(kind) or types.is_struct(kind) or types.is_map(kind)):
        return _scalar(kind) is not None
    return all(_is_json(kind.field(index).type) for index in range(kind.num_fields))


def _scalar(kind: Any) -> str | None:
    arrow = _pyarrow()
    types = arrow.types
    if isinstance(kind, arrow.BaseExtensionType):
        return _EXTENSIONS.get(kind.extension_name) or _scalar(kind.storage_type)
    if types.is_dictionary(kind):
        return _scalar(kind.value_type)
    if types.is_decimal(kind):
        return f"numeric({kind.precision}, {kind.scale})" if 0 <= kind.scale <= kind.precision else "numeric"
    if types.is_timestamp(kind):
        return "timestamp" if kind.tz is None else "timestamptz"
    if types.is_time(kind):
        return "time"
    if types.is_duration(kind):
        return "interval"
    if types.is_fixed_size_binary(kind):
        return "bytea"
    return _NAMES.get(str(kind))


def _pyarrow() -> Any:
    return need("pyarrow", extra="arrow", why="hold tables")
