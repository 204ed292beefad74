"""Rows of PostgreSQL that are too wide, and batches that are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from penstock.errors import BudgetExceeded
from tests.connectors.parts import read_bytes, read_rows, read_table
from tests.connectors.postgres_parts import environment, nothing_left, one_postgres, query, running

if TYPE_CHECKING:
    from tests.servers.postgres import PostgresDatabase

__all__ = ["environment", "nothing_left", "one_postgres"]

MEBIBYTE = 1 << 20


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
    """The limit is on memory, so it counts before the row is complete: the server is told to stop half way."""
    from penstock.connectors.postgres import _libpq

    received: list[int] = []
    looked = _libpq._Unfinished.before_receiving

    def looking(self: _libpq._Unfinished, rows: int) -> None:
        looked(self, rows)
        received.append(self._bytes)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(_libpq._Unfinished, "before_receiving", looking)
        with pytest.raises(BudgetExceeded, match="row 1 is longer than"):
            read_bytes(query(postgres, "SELECT repeat('x', 64 << 20) AS body", max_row_bytes=8 * MEBIBYTE))
    assert max(received) <= 8 * MEBIBYTE


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
