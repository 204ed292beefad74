"""What tests of reading SQLite share: tables, any values, and what reading gives."""

from __future__ import annotations

import sqlite3
import struct
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import strategies as st

from penstock.connectors import sqlite
from penstock.errors import SourceError
from penstock.flow.contracts import Describable
from penstock.flow.losses import Losses
from tests.connectors.parts import read_table, source_of

if TYPE_CHECKING:
    import pyarrow as pa

MANY = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {}) "

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    ["null", "NULL", "", "1", "0", "-0.0", '"', "\\", '\\"', "a,b", "\n", "\r\n", "\0", "a\0b", "\x1f\x7f", "é", "🌊"]
)
INTEGERS = st.sampled_from([0, 1, -1, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)]) | st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(allow_nan=False) | st.decimals(-(10**6), 10**6, places=2).map(float)
VALUES = INTEGERS | FLOATS | TEXTS | st.binary(max_size=6)
ANYTHING = st.none() | VALUES


def fill(uri: str, *statements: str | tuple[str, list[Any]]) -> None:
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as connection:
        for statement in statements:
            if isinstance(statement, str):
                connection.execute(statement)
            else:
                connection.executemany(*statement)
        connection.commit()


def exactly(table: pa.Table) -> list[tuple[Any, ...]]:
    """Every value, doubles by their bits: -0.0 is not 0.0."""
    columns = [
        [struct.pack("<d", value) if isinstance(value, float) else value for value in column.to_pylist()]
        for column in table.columns
    ]
    return list(zip(*columns, strict=True))


def outcome(uri: str, **options: Any) -> object:
    """What reading gives: types and values, and what was lost; or what is said against it."""
    losses = Losses()
    source = source_of(uri, losses=losses, **options)
    try:
        table = read_table(source)
    except SourceError as exc:
        return str(exc).partition(".db")[2].removeprefix(" t").removeprefix(": ")
    return table.schema, exactly(table), losses.told(), source.rows_read


def in_rows(uri: str, **wanted: Any) -> object:
    """What reading gives that goes row by row."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite, "unpackable", lambda _database: "a test wants it so")
        return outcome(uri, **wanted)


def in_any_order(outcome: Any) -> object:
    """What reading gives, but for what is told first of several faults: it is of the first batch, and those differ."""
    if isinstance(outcome, str):
        return "a fault"
    schema, rows, losses, rows_read = outcome
    return schema, rows, {(loss.column, loss.reason): loss.count for loss in losses}, rows_read


def assert_is_not_read_in_order(uri: str, wanted: dict[str, Any], why: str) -> None:
    """The plan says so, and why: SQLite collects pages of its rows; and so at most one row is read."""
    _assert_says(uri, wanted, "rows of one SELECT, which SQLite collects and packs by the page", why)


def assert_is_read_row_by_row(uri: str, wanted: dict[str, Any], why: str) -> None:
    """The plan says so, and why; and so at most one row is read."""
    _assert_says(uri, wanted, "rows of one SELECT, made Arrow batches a column at a time", why)


def _assert_says(uri: str, wanted: dict[str, Any], reading: str, why: str) -> None:
    source = source_of(uri, **wanted)
    assert isinstance(source, Describable)
    described = source.describe(None)
    assert described.reading.startswith(reading)
    assert why in described.why
    assert read_table(source_of(uri, **wanted)).num_rows <= 1
