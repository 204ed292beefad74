"""Rows of PostgreSQL that are too wide, and batches that are not."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from penstock.connectors.postgres import _wide_rows
from penstock.connectors.postgres._row_stream import RowStream
from penstock.connectors.postgres._unfinished_row import UnfinishedRow
from penstock.connectors.postgres._wide_rows import taken_apart
from penstock.errors import BudgetExceeded
from tests.connectors.parts import read_bytes, read_rows, read_table
from tests.connectors.postgres_parts import either_way, environment, nothing_left, one_postgres, query, running

if TYPE_CHECKING:
    from tests.servers.postgres import PostgresDatabase

__all__ = ["either_way", "environment", "nothing_left", "one_postgres"]

MEBIBYTE = 1 << 20


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("read", [read_bytes, read_table])
@pytest.mark.parametrize("mebibytes", [3, 100])
def test_a_row_that_is_too_long_is_refused(postgres: PostgresDatabase, read: object, mebibytes: int) -> None:
    """Where, which row, in which column; also one that is noticed before it has come; and the query is stopped."""
    text = (
        f"SELECT i AS id, repeat('x', CASE WHEN i = 3 THEN {mebibytes << 20} ELSE 5 END) AS body, 1.5::float8 AS f "
        "FROM generate_series(1, 5) i"
    )
    with pytest.raises(BudgetExceeded) as caught:
        read(query(postgres, text, max_row_bytes=2 * MEBIBYTE))  # type: ignore[operator]
    assert str(caught.value) == (
        f"postgresql://postgres:***@127.0.0.1:{postgres.port}/{postgres.name}: row 3 is longer than 2.0 MiB, "
        "all the memory there is, in 'body' (raise max_memory, or leave the column out)"
    )
    assert running(postgres) == []


def test_most_of_a_row_that_is_too_long_is_never_received(postgres: PostgresDatabase) -> None:
    """The limit is on memory, so it counts before libpq has the whole row: the server is told to stop half way."""
    received: list[int] = []
    looked = UnfinishedRow.before_receiving

    def looking(self: UnfinishedRow, rows: int) -> None:
        looked(self, rows)
        received.append(self._bytes)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(RowStream, "begins", lambda _self: False)
        patched.setattr(UnfinishedRow, "before_receiving", looking)
        with pytest.raises(BudgetExceeded, match="row 1 is longer than"):
            read_bytes(query(postgres, "SELECT repeat('x', 64 << 20) AS body", max_row_bytes=8 * MEBIBYTE))
    assert max(received) <= 8 * MEBIBYTE


@pytest.mark.usefixtures("either_way")
def test_rows_up_to_the_limit_come_through(postgres: PostgresDatabase) -> None:
    """Among short ones."""
    text = "SELECT i, repeat('x', CASE i WHEN 2 THEN 2000000 ELSE 1 END) AS t FROM generate_series(1, 3) i"
    rows = read_rows(query(postgres, text, max_row_bytes=2 * MEBIBYTE))
    assert [len(row["t"]) for row in rows] == [1, 2_000_000, 1]


@pytest.mark.parametrize(
    "columns",
    [
        "i::int8 AS a, i::float8 AS b, NULL::int8 AS c, NULL::timestamptz AS d",  # few characters, many bytes
        "true AS a, NULL::bool AS b",
        "repeat('x', 300) AS t",
        "repeat('x', i % 5000) AS t, i::numeric(38, 0) AS n, NULL::text AS o",
        "decode(repeat('ab', 2000), 'hex') AS b",
    ],
)
def test_no_batch_is_larger_than_asked_for(postgres: PostgresDatabase, columns: str) -> None:
    """In bytes of Arrow, whatever the columns are; apart from one row that is."""
    source = query(postgres, f"SELECT {columns} FROM generate_series(1, 30000) i", batch_bytes=256 << 10)
    rows = 0
    with source.open_batches() as batches:
        for batch in batches:
            rows += batch.num_rows
            assert batch.nbytes <= 256 << 10
    assert rows == source.rows_read == 30000


WIDE = """SELECT i AS id, CASE i WHEN 2 THEN NULL WHEN 3 THEN repeat(E'a"b,""\\n\u00e9\\\\', 500000) WHEN 4 THEN repeat('x', 3000000)
    WHEN 5 THEN '' ELSE 't' || i END AS t, CASE WHEN i = 4 THEN decode(repeat('00ff', 1500000), 'hex') ELSE 'b' END AS b,
    i % 2 = 0 AS even, 'n' || i AS n FROM generate_series(1, 6) i"""
WIDE_ROWS = [
    {
        "id": i,
        "t": {2: None, 3: 'a"b,""\n\u00e9\\' * 500_000, 4: "x" * 3_000_000, 5: ""}.get(i, f"t{i}"),
        "b": b"\x00\xff" * 1_500_000 if i == 4 else b"b",
        "even": i % 2 == 0,
        "n": f"n{i}",
    }
    for i in range(1, 7)
]


@pytest.mark.usefixtures("either_way")
def test_wide_rows_come_through_among_others(postgres: PostgresDatabase) -> None:
    """Text with quotes, commas, line ends and umlauts, bytes, NULL and the empty string, in order."""
    assert read_rows(query(postgres, WIDE)) == WIDE_ROWS


@pytest.mark.usefixtures("either_way")
def test_wide_rows_pass_as_they_are(postgres: PostgresDatabase) -> None:
    """The server's own bytes, whatever the length of a row; and the rows are counted."""
    source = query(postgres, WIDE)
    csv.field_size_limit(1 << 30)
    found = list(csv.reader(io.StringIO(read_bytes(source).decode(), newline="")))
    assert [row[1] for row in found] == ["t", *(row["t"] or "" for row in WIDE_ROWS)]
    assert source.rows_read == len(WIDE_ROWS)


def test_a_wide_value_is_not_copied(postgres: PostgresDatabase) -> None:
    """It stays in the row as it was received: there is no Arrow memory of its size."""
    before = pa.total_allocated_bytes()
    with query(postgres, "SELECT 1 AS i, repeat('x', 30000000) AS t").open_batches() as batches:
        (batch,) = batches
    assert batch.nbytes > 30_000_000
    assert pa.total_allocated_bytes() - before < MEBIBYTE


@pytest.mark.parametrize("quotes", range(6))
def test_doubled_quotes_at_the_end_of_a_piece(quotes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a long value is cut to be taken apart, two quotes stay together."""
    monkeypatch.setattr(_wide_rows, "_PIECE_BYTES", 3)
    monkeypatch.setattr(_wide_rows, "WIDE_BYTES", 0)
    value = b"ab" + b'"' * quotes + b'c"'
    row = b'1,"%s",,"x,""y",z\n' % value.replace(b'"', b'""')
    narrow, wide = taken_apart(row, frozenset({1, 4}))
    assert narrow == b'1,,,"x,""y",\n'
    assert {index: found.to_pybytes() for index, found in wide.items()} == {1: value, 4: b"z"}
