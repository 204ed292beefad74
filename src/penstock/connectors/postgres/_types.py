"""From PostgreSQL's types to Arrow's, and how each column is selected for COPY. ``TYPE_TABLE`` has the whole story.

Where bytes of CSV pass through, every value is as the server writes it. Read as batches, a few types have values that
their Arrow type cannot hold: NaN in ``numeric(p, s)``, infinity, years beyond 9999 and before Christ in dates, and the
time 24:00:00. ``on_type_loss`` says what becomes of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock._extras import need
from penstock.connectors._sql import quoted
from penstock.connectors.postgres._load_types import LOAD_TABLE
from penstock.flow.types_table import TypeRow

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "LOAD_TABLE",
    "TYPE_TABLE",
    "Column",
    "arrow_schema",
    "csv_note",
    "projection",
    "type_query",
    "unfit_values",
    "unfit_words",
]

_DATES = "infinity, -infinity, BC and years beyond 9999 are lost: see on_type_loss"

TYPE_TABLE: tuple[TypeRow, ...] = (
    TypeRow("boolean", "bool", "t, f", "true, false"),
    TypeRow("smallint", "int16", "number", "number"),
    TypeRow("integer", "int32", "number", "number"),
    TypeRow("bigint, oid", "int64", "number", "number"),
    TypeRow("real", "float", "shortest exact form; NaN, Infinity", 'number; "NaN", "Infinity"'),
    TypeRow("double precision", "double", "shortest exact form; NaN, Infinity", 'number; "NaN", "Infinity"'),
    TypeRow(
        "numeric(p, s), p <= 38, 0 <= s <= p",
        "decimal128(p, s)",
        "all digits",
        "number, all digits",
        "NaN is lost: see on_type_loss",
    ),
    TypeRow("numeric, numeric(p, s) otherwise", "string", "all digits; NaN, Infinity", "string", "exact"),
    TypeRow("date", "date32", "ISO 8601", "string, ISO 8601", _DATES),
    TypeRow("timestamp", "timestamp[us]", "ISO 8601", "string, ISO 8601", _DATES),
    TypeRow("timestamptz", "timestamp[us, UTC]", "ISO 8601 with offset +00", "string, ISO 8601 with offset", _DATES),
    TypeRow("time", "time64[us]", "ISO 8601", "string, ISO 8601", "24:00:00 is lost: see on_type_loss"),
    TypeRow("timetz", "string", "as PostgreSQL writes it", "string"),
    TypeRow("interval", "string", "ISO 8601: P1DT2H", "string, ISO 8601"),
    TypeRow("text, varchar, char", "string", "as it is; NULL is nothing, '' is \"\"", "string"),
    TypeRow("bytea", "binary", "base64", "string, base64"),
    TypeRow("json, jsonb", "string", "as it is", "string that holds the JSON"),
    TypeRow("arrays, composite types", "string", "JSON, as to_json writes it", "string that holds the JSON"),
    TypeRow(
        "everything else: uuid, enums, ranges, inet, cidr, macaddr, bit, money, xml, geometry, tsvector, ...",
        "string",
        "as PostgreSQL writes it",
        "string",
        "money and the like are written as the database's locale has it",
    ),
    TypeRow("domains", "as the type under it", "as the type under it", "as the type under it"),
)

_NUMERIC = 1700
_BYTEA = 17
_TIMESTAMPTZ = 1184
_PLAIN_TEXT = frozenset({25, 1042, 1043})
_JSON = frozenset({114, 3802})
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


@dataclass(frozen=True)
class Column:
    """A column of a result, as the server describes it."""

    name: str
    oid: int
    modifier: int

    @property
    def may_be_long(self) -> bool:
        """Whether values of it may be of any length, as far as is known."""
        return self.oid not in _ARROW_TYPES.keys() - {_BYTEA} | {_NUMERIC, _TIMESTAMPTZ}


# --- what the server is asked for ---------------------------------------------------------------------------------


def type_query(columns: Sequence[Column]) -> str | None:
    """Return a query for the OIDs among ``columns`` whose type is an array or composite; None if it is not needed."""
    known = _ARROW_TYPES.keys() | _PLAIN_TEXT | _JSON | {_NUMERIC, _TIMESTAMPTZ}
    unknown = sorted({column.oid for column in columns} - known)
    if not unknown:
        return None
    listed = ", ".join(map(str, unknown))
    # An array has elements and a varying length; "point" and the like have elements, too, but a fixed length.
    return (
        "SELECT oid FROM pg_catalog.pg_type WHERE ((typelem <> 0 AND typlen = -1) OR typtype = 'c') "  # noqa: S608 - numbers
        f"AND oid IN ({listed})"
    )


def projection(query: str, columns: Sequence[Column], nested: frozenset[int], *, bytes_as: str) -> str:
    """Return ``query``, with the columns that CSV has no form for of their own turned into text by the server.

    Args:
        query: the statement.
        columns: of its result.
        nested: OIDs of arrays and composite types.
        bytes_as: ``"base64"`` or ``"hex"``.
    """
    expressions = [_expression(f"c{index}", column, nested, bytes_as) for index, column in enumerate(columns)]
    if all(expression is None for expression in expressions):
        return query
    aliases = ", ".join(f"c{index}" for index in range(len(columns)))  # names in a query may occur twice
    selected = ", ".join(
        f"{expression or f'c{index}'} AS {quoted(column.name)}"
        for index, (expression, column) in enumerate(zip(expressions, columns, strict=True))
    )
    return f"SELECT {selected} FROM (\n{query}\n) AS query({aliases})"  # noqa: S608 - the query is the user's own


def _expression(name: str, column: Column, nested: frozenset[int], bytes_as: str) -> str | None:
    if column.oid == _BYTEA:
        encoded = f"pg_catalog.encode({name}, '{bytes_as}')"
        return encoded if bytes_as == "hex" else f"pg_catalog.replace({encoded}, E'\\n', '')"
    return f"pg_catalog.to_json({name})" if column.oid in nested else None


def csv_note(column: Column, nested: frozenset[int]) -> str:
    """Return what a reader of the server's own CSV should know of a column."""
    if column.oid == _BYTEA:
        return "base64"
    return "JSON" if column.oid in nested else ""


# --- what it becomes ----------------------------------------------------------------------------------------------


def arrow_schema(columns: Sequence[Column], *, text_where_lossy: bool = False) -> pa.Schema:
    """Return what the columns are in Arrow; with ``text_where_lossy``, text where a type cannot hold every value."""
    arrow = _pyarrow()
    types = [_arrow_type(column) for column in columns]
    if text_where_lossy:
        types = [kind if unfit_values(kind) is None else arrow.string() for kind in types]
    schema: pa.Schema = arrow.schema([(column.name, kind) for column, kind in zip(columns, types, strict=True)])
    return schema


def unfit_values(kind: Any) -> str | None:
    """Return a regular expression for what PostgreSQL may write that an Arrow type cannot hold; None: nothing."""
    types = _pyarrow().types
    if types.is_decimal(kind):
        return "^-?(NaN|Infinity)$"
    if types.is_date(kind) or types.is_timestamp(kind):
        return "^-?infinity$|BC$|^[0-9]{5,}-"
    return "^24:" if types.is_time(kind) else None


def unfit_words(kind: Any) -> str:
    """Return the same in words; ``""`` for nothing."""
    types = _pyarrow().types
    if types.is_decimal(kind):
        return "NaN"
    if types.is_date(kind) or types.is_timestamp(kind):
        return "infinity, BC, years beyond 9999"
    return "24:00:00" if types.is_time(kind) else ""


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
