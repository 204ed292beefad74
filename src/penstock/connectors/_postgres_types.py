"""From PostgreSQL's types to Arrow's, and how each column is selected for COPY.

    PostgreSQL                         Arrow               in CSV
    boolean                            bool                t, f
    smallint, integer, bigint          int16, int32, int64
    real, double precision             float, double       shortest exact form; NaN, Infinity
    numeric(p, s), p <= 38             decimal128(p, s)    all digits
    numeric, and beyond 38 digits      string              all digits; NaN, Infinity
    date                               date32              ISO 8601
    timestamp                          timestamp[us]       ISO 8601
    timestamptz                        timestamp[us, UTC]  ISO 8601 with offset +00
    time                               time64[us]          ISO 8601
    bytea                              binary              base64
    arrays, composite types            string              JSON, as PostgreSQL's to_json writes it
    json, jsonb                        string              as it is
    interval                           string              ISO 8601: P1DT2H
    everything else                    string              as PostgreSQL writes it

What a type cannot hold (numeric(p, s) NaN, infinity and years beyond 9999 of dates, the time 24:00:00) is an error
that names line and column, when it is read as batches; bytes of CSV pass through as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock._extras import need
from penstock.connectors._sql import quoted

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Column", "arrow_schema", "projection", "type_query"]

_NUMERIC = 1700
_BYTEA = 17
_MOST_DECIMAL_DIGITS = 38
_TYPMOD_OFFSET = 4
_SCALE_MASK = 0x7FF
_SCALE_SIGN = 0x400

_ARROW_TYPES: dict[int, str] = {
    16: "bool",
    20: "int64",
    21: "int16",
    23: "int32",
    26: "int64",  # oid
    700: "float",
    701: "double",
    1082: "date32",
    1083: "time64[us]",
    1114: "timestamp[us]",
    _BYTEA: "binary",
}
_TIMESTAMPTZ = 1184


@dataclass(frozen=True)
class Column:
    """A column of a result, as the server describes it."""

    name: str
    oid: int
    modifier: int


def type_query(columns: Sequence[Column]) -> str | None:
    """Return a query for the OIDs among ``columns`` whose type is an array or composite; None if it is not needed."""
    unknown = sorted({column.oid for column in columns} - _ARROW_TYPES.keys() - {_NUMERIC, _TIMESTAMPTZ, 25, 1043})
    if not unknown:
        return None
    listed = ", ".join(map(str, unknown))
    # An array has elements and a varying length; "point" and the like have elements, too, but a fixed length.
    return (
        "SELECT oid FROM pg_catalog.pg_type WHERE ((typelem <> 0 AND typlen = -1) OR typtype = 'c') "  # noqa: S608 - numbers
        f"AND oid IN ({listed})"
    )


def projection(query: str, columns: Sequence[Column], nested: frozenset[int]) -> str:
    """Return ``query``, with the columns that CSV has no form for of their own turned into text by the server.

    Args:
        query: the statement.
        columns: of its result.
        nested: OIDs of arrays and composite types.
    """
    expressions = [_expression(f"c{index}", column, nested) for index, column in enumerate(columns)]
    if all(expression is None for expression in expressions):
        return query
    aliases = ", ".join(f"c{index}" for index in range(len(columns)))  # names in a query may occur twice
    selected = ", ".join(
        f"{expression or f'c{index}'} AS {quoted(column.name)}"
        for index, (expression, column) in enumerate(zip(expressions, columns, strict=True))
    )
    return f"SELECT {selected} FROM (\n{query}\n) AS query({aliases})"  # noqa: S608 - the query is the user's own


def _expression(name: str, column: Column, nested: frozenset[int]) -> str | None:
    if column.oid == _BYTEA:
        return f"pg_catalog.replace(pg_catalog.encode({name}, 'base64'), E'\\n', '')"
    return f"pg_catalog.to_json({name})" if column.oid in nested else None


def arrow_schema(columns: Sequence[Column]) -> pa.Schema:
    """Return what the columns are in Arrow."""
    arrow = _pyarrow()
    schema: pa.Schema = arrow.schema([(column.name, _arrow_type(column)) for column in columns])
    return schema


def _arrow_type(column: Column) -> Any:
    arrow = _pyarrow()
    if column.oid == _TIMESTAMPTZ:
        return arrow.timestamp("us", "UTC")
    if column.oid == _NUMERIC:
        return _decimal(column.modifier)
    return arrow.type_for_alias(_ARROW_TYPES.get(column.oid, "string"))


def _decimal(modifier: int) -> Any:
    """Precision and scale are packed into the type modifier; the scale has a sign since PostgreSQL 15."""
    if modifier < _TYPMOD_OFFSET:
        return _pyarrow().string()
    precision, scale = divmod(modifier - _TYPMOD_OFFSET, 1 << 16)
    scale = ((scale & _SCALE_MASK) ^ _SCALE_SIGN) - _SCALE_SIGN
    if precision > _MOST_DECIMAL_DIGITS or not 0 <= scale <= precision:
        return _pyarrow().string()
    return _pyarrow().decimal128(precision, scale)


def _pyarrow() -> Any:
    return need("pyarrow", extra="arrow", why="hold tables")
