"""Map types of MySQL and MariaDB to Arrow's, and back. The two tables below list every type; the code follows them.

What a server can hold and no Arrow type can are dates that do not exist: ``'0000-00-00'``, ``'2024-00-15'``, and with
``ALLOW_INVALID_DATES`` also ``'2024-02-31'``. Such a value is an error that names column and row, unless ``on_type_loss``
says otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.connectors.mysql._arrays import pyarrow
from penstock.connectors.mysql._connection import Column
from penstock.flow.losses import OnTypeLoss
from penstock.flow.types_table import TypeRow

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "LOAD_TABLE",
    "TYPE_TABLE",
    "WireType",
    "arrow_schema",
    "fixed_bytes",
    "fraction_digits",
    "may_be_longer",
    "note_on",
    "source_type",
]

_NO_DATE = "a date that does not exist, such as 0000-00-00: error; NULL with warn; the column is text with text"

TYPE_TABLE: tuple[TypeRow, ...] = (
    TypeRow(
        "tinyint, smallint",
        "int8, int16",
        "digits",
        "number",
        "boolean is tinyint(1), which can hold more than 0 and 1",
    ),
    TypeRow("mediumint, int", "int32", "digits", "number"),
    TypeRow("bigint", "int64", "digits", "number"),
    TypeRow("tinyint unsigned, smallint unsigned", "uint8, uint16", "digits", "number"),
    TypeRow("mediumint unsigned, int unsigned", "uint32", "digits", "number"),
    TypeRow("bigint unsigned", "uint64", "digits", "number"),
    TypeRow("float", "float", "shortest exact form", "number"),
    TypeRow("double", "double", "shortest exact form", "number"),
    TypeRow("decimal(p, s), p <= 38", "decimal128(p, s)", "all digits", "number, all digits"),
    TypeRow("decimal(p, s), p > 38", "decimal256(p, s)", "all digits", "number, all digits"),
    TypeRow("bit(1)", "bool", "true, false", "true, false"),
    TypeRow("bit(n), n > 1", "uint64", "digits", "number"),
    TypeRow("date", "date32[day]", "ISO 8601", "string, ISO 8601", _NO_DATE),
    TypeRow("datetime(f)", "timestamp[us]", "ISO 8601", "string, ISO 8601", _NO_DATE),
    TypeRow("timestamp(f)", "timestamp[us, tz=UTC]", "ISO 8601, Z", "string, ISO 8601, Z", _NO_DATE),
    TypeRow(
        "time(f)", "string", "-838:59:59.000000", "string", "may be negative and beyond a day, which no time of day is"
    ),
    TypeRow("year", "uint16", "digits", "number"),
    TypeRow("char, varchar, text, enum, set", "string", "as it is, '' quoted", "string", "from any character set"),
    TypeRow("json", "string", "as it is", "string"),
    TypeRow("binary, varbinary, blob", "binary", "base64", "string, base64"),
    TypeRow("geometry", "binary", "base64 of WKB", "string, base64 of WKB", "EWKB where it has an SRID"),
    TypeRow("uuid, inet4, inet6 (MariaDB)", "string", "as the server writes it", "string"),
    TypeRow("NULL (of a query)", "string", "nothing", "null"),
)

LOAD_TABLE: tuple[tuple[str, str], ...] = (
    ("bool", "boolean"),
    ("int8, int16, int32, int64", "tinyint, smallint, int, bigint"),
    ("uint8, uint16, uint32, uint64", "the same, unsigned"),
    ("halffloat, float", "float"),
    ("double", "double"),
    ("decimal(p, s), p <= 65, 0 <= s <= 30", "decimal(p, s)"),
    ("other decimals", "longtext"),
    ("string, and dictionaries of it", "longtext"),
    ("binary", "longblob"),
    ("date32, date64", "date"),
    ("timestamp", "datetime(6)"),
    ("timestamp with time zone", "timestamp(6)"),
    ("time32, time64, duration", "time(6)"),
    ("lists, structs, maps", "json"),
    ("uuid", "char(36)"),
    ("null", "longtext"),
)


class WireType:
    """Numbers of the types in the protocol."""

    DECIMAL = 0
    TINY = 1
    SHORT = 2
    LONG = 3
    FLOAT = 4
    DOUBLE = 5
    NULL = 6
    TIMESTAMP = 7
    LONGLONG = 8
    INT24 = 9
    DATE = 10
    TIME = 11
    DATETIME = 12
    YEAR = 13
    NEWDATE = 14
    VARCHAR = 15
    BIT = 16
    JSON = 245
    NEWDECIMAL = 246
    VAR_STRING = 253
    STRING = 254
    GEOMETRY = 255


_UNSIGNED, _ENUM, _SET = 1 << 5, 1 << 8, 1 << 11
_BYTES = 63  # the number of the character set "binary"
_UTF8MB4_BYTES = 4
_MOST_FRACTION = 6
_OFFSET_BITS = 32  # of a string
_DECIMAL128_DIGITS, _DECIMAL256_DIGITS = 38, 76
_INTEGERS = {
    WireType.TINY: ("tinyint", "int8"),
    WireType.SHORT: ("smallint", "int16"),
    WireType.INT24: ("mediumint", "int32"),
    WireType.LONG: ("int", "int32"),
    WireType.LONGLONG: ("bigint", "int64"),
}
_DECIMALS = frozenset({WireType.DECIMAL, WireType.NEWDECIMAL})
_DATES = frozenset({WireType.DATE, WireType.NEWDATE})
_WITH_TIME = frozenset({WireType.DATETIME, WireType.TIMESTAMP})
_PLAIN = {
    WireType.FLOAT: ("float", "float"),
    WireType.DOUBLE: ("double", "double"),
    WireType.YEAR: ("year", "uint16"),
    WireType.JSON: ("json", "string"),
    WireType.GEOMETRY: ("geometry", "binary"),
    WireType.NULL: ("null", "string"),
}
_SIZES = ((0xFF, "tiny"), (0xFFFF, ""), (0xFFFFFF, "medium"))


def arrow_schema(columns: tuple[Column, ...], on_type_loss: OnTypeLoss) -> pa.Schema:
    """Return what the columns are in Arrow."""
    schema: pa.Schema = pyarrow().schema([(column.name, _arrow_type(column, on_type_loss)) for column in columns])
    return schema


def _arrow_type(column: Column, on_type_loss: OnTypeLoss) -> Any:
    arrow = pyarrow()
    if column.type in _INTEGERS:
        _name, kind = _INTEGERS[column.type]
        return arrow.type_for_alias(f"u{kind}" if column.flags & _UNSIGNED else kind)
    if column.type in _DECIMALS:
        return _decimal(*precision_and_scale(column))
    if column.type in _DATES | _WITH_TIME:
        return arrow.string() if on_type_loss == "text" else _instant(column)
    if column.type == WireType.BIT:
        return arrow.bool_() if column.length == 1 else arrow.uint64()
    if column.type in _PLAIN:
        return arrow.type_for_alias(_PLAIN[column.type][1])
    return arrow.string() if is_text(column) or column.type == WireType.TIME else arrow.binary()


def _instant(column: Column) -> Any:
    arrow = pyarrow()
    if column.type in _DATES:
        return arrow.date32()
    return arrow.timestamp("us", "UTC" if column.type == WireType.TIMESTAMP else None)


def _decimal(precision: int, scale: int) -> Any:
    arrow = pyarrow()
    if precision > _DECIMAL256_DIGITS:
        return arrow.string()
    return (arrow.decimal128 if precision <= _DECIMAL128_DIGITS else arrow.decimal256)(precision, scale)


def precision_and_scale(column: Column) -> tuple[int, int]:
    """Return how many digits a decimal has, in all and after the point; its length also counts point and sign."""
    scale = column.decimals
    precision = column.length - (scale > 0) - (not column.flags & _UNSIGNED)
    return max(precision, scale, 1), scale


def is_text(column: Column) -> bool:
    """Whether a column of strings has characters, not bytes. JSON claims to have bytes."""
    return column.charset != _BYTES or column.type == WireType.JSON


def may_be_longer(column: Column, size: int) -> bool:
    """Whether the column holds texts or bytes, and its type allows more than ``size`` bytes of them."""
    is_number = column.type in _INTEGERS or column.type in _DECIMALS
    return not is_number and column.length > size


def fraction_digits(column: Column) -> int:
    """Return how many digits after the seconds a column has; expressions may not know, then all."""
    return min(column.decimals, _MOST_FRACTION)


def fixed_bytes(schema: pa.Schema) -> int:
    """Return how many bytes one row takes in Arrow at least, whatever its texts: NULLs take room as well."""
    types = pyarrow().types
    bits = 0
    for field in schema:
        is_fixed = types.is_primitive(field.type) or types.is_decimal(field.type)
        bits += 1 + (field.type.bit_width if is_fixed else _OFFSET_BITS)
    return bits // 8 + 1


def note_on(column: Column) -> str:
    """Return what a reader of a copy of this column should know."""
    if column.type in _DATES | _WITH_TIME:
        return "dates that do not exist, such as 0000-00-00, do not fit; see on_type_loss"
    if column.type == WireType.GEOMETRY:
        return "WKB; EWKB where it has an SRID"
    return ""


def source_type(column: Column) -> str:
    """Return the type as SQL has it: ``"decimal(12,2)"``, ``"int unsigned"``, ``"varchar(30)"``."""
    if column.type in _INTEGERS:
        return _INTEGERS[column.type][0] + (" unsigned" if column.flags & _UNSIGNED else "")
    if column.type in _DECIMALS:
        precision, scale = precision_and_scale(column)
        return f"decimal({precision},{scale})"
    if column.type in _DATES:
        return "date"
    if column.type in _WITH_TIME or column.type == WireType.TIME:
        name = {WireType.DATETIME: "datetime", WireType.TIMESTAMP: "timestamp"}.get(column.type, "time")
        digits = fraction_digits(column)
        return f"{name}({digits})" if digits else name
    if column.type == WireType.BIT:
        return f"bit({column.length})"
    return _PLAIN[column.type][0] if column.type in _PLAIN else _string_type(column)


def _string_type(column: Column) -> str:
    if column.flags & (_ENUM | _SET):
        return "enum" if column.flags & _ENUM else "set"
    characters = column.length // _UTF8MB4_BYTES if is_text(column) else column.length
    names = {WireType.STRING: ("char", "binary")}
    names |= dict.fromkeys((WireType.VARCHAR, WireType.VAR_STRING), ("varchar", "varbinary"))
    if column.type in names:
        return f"{names[column.type][not is_text(column)]}({characters})"
    size = next((name for most, name in _SIZES if characters <= most), "long")
    return size + ("text" if is_text(column) else "blob")
