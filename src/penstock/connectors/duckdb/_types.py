"""From DuckDB's types to Arrow's, and how each column is selected so that nothing is bent on the way.

DuckDB writes Arrow itself. Where its own form says less than the value (a ``UHUGEINT`` wraps around, a ``TIMETZ``
loses its offset) or is one that few others read (a union, a dictionary for every batch), the column is selected as
DuckDB's text instead. Inside lists, structs and maps the same rules hold. :data:`TYPE_TABLE` is the whole contract.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penstock.connectors._sql import quoted
from penstock.flow.types_table import TypeRow

__all__ = ["TYPE_TABLE", "projection", "target_type"]

_AS_TEXT = "as DuckDB writes it"
_YEARS = "infinity and years outside 1 to 9999: on_type_loss"
TYPE_TABLE: tuple[TypeRow, ...] = (
    TypeRow("BOOLEAN", "bool", "true, false", "true, false"),
    TypeRow("TINYINT, SMALLINT, INTEGER, BIGINT", "int8, int16, int32, int64", "all digits", "number"),
    TypeRow("UTINYINT, USMALLINT, UINTEGER, UBIGINT", "uint8, uint16, uint32, uint64", "all digits", "number"),
    TypeRow("HUGEINT", "decimal128(38, 0)", "all digits", "number, all digits", "39 digits: on_type_loss"),
    TypeRow("UHUGEINT, BIGNUM", "string", "all digits", "text, all digits"),
    TypeRow("DECIMAL(p, s)", "decimal128(p, s)", "all digits", "number, all digits"),
    TypeRow("FLOAT, DOUBLE", "float, double", "shortest exact form", "number; NaN and infinities as text"),
    TypeRow("VARCHAR, JSON", "string", "as it is", "text"),
    TypeRow("UUID, ENUM", "string", _AS_TEXT, "text"),
    TypeRow("BLOB", "binary", "base64", "base64 text"),
    TypeRow("GEOMETRY", "binary", "base64", "base64 text", "well-known binary"),
    TypeRow("BIT", "string", "zeros and ones", "text"),
    TypeRow("DATE", "date32", "ISO 8601", "ISO 8601 text", _YEARS),
    TypeRow("TIME", "time64[us]", "ISO 8601", "ISO 8601 text", "24:00:00: on_type_loss"),
    TypeRow("TIME_NS", "time64[ns]", "ISO 8601", "ISO 8601 text", "24:00:00: on_type_loss"),
    TypeRow("TIMETZ", "string", "12:34:56+05:30", "text"),
    TypeRow("TIMESTAMP_S, _MS, TIMESTAMP, _NS", "timestamp[s, ms, us, ns]", "ISO 8601", "ISO 8601 text", _YEARS),
    TypeRow("TIMESTAMPTZ, TIMESTAMPTZ_NS", "timestamp[us, ns, UTC]", "ISO 8601, UTC", "ISO 8601 text, UTC", _YEARS),
    TypeRow("INTERVAL", "string", _AS_TEXT, "text"),
    TypeRow("T[], T[n]", "list<T>", "JSON", "array"),
    TypeRow("STRUCT, TUPLE", "struct", "JSON", "object", "fields without a name are element1, element2, ..."),
    TypeRow("MAP(K, V)", "map<K, V>", "JSON", "object"),
    TypeRow("UNION, VARIANT, NULL, TYPE", "string", _AS_TEXT, "text"),
)

DuckdbType = Any  # duckdb is an extra

# Every other type is selected as text, also one that a later DuckDB may bring.
_AS_THEY_ARE = frozenset(
    {
        *("boolean", "tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger", "ubigint"),
        *("decimal", "float", "double", "varchar", "uuid", "blob", "geometry"),
    }
)
_MAY_NOT_FIT = frozenset(
    {
        *("hugeint", "date", "time", "time_ns", "timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns"),
        *("timestamp with time zone", "timestamptz_ns"),
    }
)


def target_type(kind: DuckdbType, *, text_for_losses: bool) -> str:
    """Return the DuckDB type that a column of type ``kind`` is selected as.

    Args:
        kind: what it is.
        text_for_losses: whether types with values that Arrow's cannot hold become text (``on_type_loss="text"``).
    """
    name = kind.id
    if name in {"list", "array"}:
        return f"{target_type(kind.children[0][1], text_for_losses=text_for_losses)}[]"
    if name in {"struct", "tuple", "map"}:
        return _composite(
            name, [(part, target_type(of, text_for_losses=text_for_losses)) for part, of in kind.children]
        )
    if name in _AS_THEY_ARE or (name in _MAY_NOT_FIT and not text_for_losses):
        return str(kind)
    return "VARCHAR"


def _composite(name: str, parts: Sequence[tuple[str, str]]) -> str:
    if name == "struct":
        return f"STRUCT({', '.join(f'{quoted(part)} {of}' for part, of in parts)})"
    return f"{name.upper()}({', '.join(of for _part, of in parts)})"


def projection(query: str, names: Sequence[str], kinds: Sequence[DuckdbType], *, text_for_losses: bool) -> str:
    """Return ``query`` with every column selected as :func:`target_type` says."""
    expressions = [
        _expression(f"c{index}", kind, target_type(kind, text_for_losses=text_for_losses))
        for index, kind in enumerate(kinds)
    ]
    if all(expression == f"c{index}" for index, expression in enumerate(expressions)):
        return query
    aliases = ", ".join(f"c{index}" for index in range(len(kinds)))  # names in a query may occur twice
    selected = ", ".join(f"{expression} AS {quoted(name)}" for expression, name in zip(expressions, names, strict=True))
    return f"SELECT {selected} FROM (\n{query}\n) AS query({aliases})"  # noqa: S608 - the query is the user's own


def _expression(name: str, kind: DuckdbType, target: str) -> str:
    return name if _same(kind, target) else f"CAST({name} AS {target})"


def _same(kind: DuckdbType, target: str) -> bool:
    return kind.id in _AS_THEY_ARE | _MAY_NOT_FIT and str(kind) == target
