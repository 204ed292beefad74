"""What reading from PostgreSQL would do, for ``penstock plan``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from penstock.connectors._requests import SourceRequest
from penstock.connectors.postgres._libpq import Connection
from penstock.connectors.postgres._types import Column, csv_note, unfit_words
from penstock.flow.description import ColumnType, Description
from penstock.flow.units import format_bytes

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["described"]

_CONSISTENCY = "one statement in a read-only transaction: all rows are of one snapshot, taken when it begins"
_ON_TYPE_LOSS = {"error": "an error", "warn": "NULL, counted"}


def described(
    connection: Connection,
    statement: str,
    columns: Sequence[Column],
    *,
    nested: frozenset[int],
    schema: pa.Schema | None,
    request: SourceRequest,
) -> Description:
    """Describe reading ``statement``; has the server plan it, and not run it.

    Args:
        connection: in a transaction.
        statement: a SELECT.
        columns: of it.
        nested: OIDs of those of its types that are arrays or composite.
        schema: what the columns become in Arrow; None when bytes pass through.
        request: what was asked for.
    """
    rows, row_bytes = _estimate(connection, statement)
    source_types = _source_types(connection, columns)
    if schema is None:
        reading, why = "COPY ... TO STDOUT (FORMAT csv, HEADER), bytes passed through", "the server writes CSV itself"
        kinds, notes = [None] * len(columns), [csv_note(column, nested) for column in columns]
    else:
        size = format_bytes(request.batch_bytes)
        reading = f"COPY ... TO STDOUT (FORMAT csv), parsed into Arrow batches of up to {size}"
        why = "the destination takes Arrow; a COPY is the fastest way out of the server, and no value becomes an object"
        kinds = [field.type for field in schema]
        notes = [
            _note(column, field, nested, request.on_type_loss) for column, field in zip(columns, schema, strict=True)
        ]
    described_columns = zip(columns, source_types, kinds, notes, strict=True)
    return Description(
        reading=reading,
        why=why,
        consistency=_CONSISTENCY,
        columns=tuple(
            ColumnType(column.name, source_type, "" if kind is None else str(kind), note, kind)
            for column, source_type, kind, note in described_columns
        ),
        estimated_rows=rows,
        estimated_bytes=rows * row_bytes,
    )


def _note(column: Column, field: Any, nested: frozenset[int], on_type_loss: str) -> str:
    if column.oid in nested:
        return "JSON"
    unfit = unfit_words(field.type)
    return f"{unfit}: {_ON_TYPE_LOSS[on_type_loss]}" if unfit else ""


def _source_types(connection: Connection, columns: Sequence[Column]) -> list[str]:
    if not columns:
        return []
    pairs = ", ".join(f"({index}, {column.oid}, {column.modifier})" for index, column in enumerate(columns))
    result = connection.execute(
        f"SELECT pg_catalog.format_type(t, m) FROM (VALUES {pairs}) AS v (i, t, m) ORDER BY i"  # noqa: S608 - numbers
    )
    return [(result.get_value(row, 0) or b"").decode() for row in range(result.ntuples)]


def _estimate(connection: Connection, statement: str) -> tuple[int, int]:
    """Return rows, and bytes of a row, as the server's planner expects them."""
    result = connection.execute(f"EXPLAIN (FORMAT JSON)\n{statement}")
    text = b"".join(result.get_value(row, 0) or b"" for row in range(result.ntuples))
    plan = json.loads(text)[0]["Plan"]
    return int(plan["Plan Rows"]), int(plan["Plan Width"])
