"""Whole copies from and into PostgreSQL: the same rows at the other end, whatever is between."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from penstock.api import copy
from penstock.errors import AlreadyExists, SourceError
from tests.connectors.postgres_parts import environment, nothing_left

if TYPE_CHECKING:
    from tests.servers.postgres import PostgresDatabase

__all__ = ["environment", "nothing_left"]

ROWS = 20_000


@pytest.fixture
def events(postgres: PostgresDatabase) -> PostgresDatabase:
    """A table of the usual kinds of columns."""
    postgres.execute(
        f"CREATE TABLE events AS SELECT i AS id, md5(i::text) AS name, (i / 7.0)::numeric(12, 3) AS price, "
        "'2024-01-01'::timestamptz + i * interval '1.001 s' AS at, i % 3 = 0 AS odd, "
        "CASE WHEN i % 5 > 0 THEN sha256(i::text::bytea) END AS hash, i / 3.0::float8 AS ratio, ARRAY[i, NULL] AS pair "
        f"FROM generate_series(1, {ROWS}) i"
    )
    return postgres


def difference(database: PostgresDatabase, table: str) -> list[object]:
    """Rows that only one of ``events`` and ``table`` has."""
    columns = "id, name, price, at, odd, hash, ratio"
    left, right = f"SELECT {columns} FROM events", f"SELECT {columns} FROM {table}"
    return database.execute(f"({left} EXCEPT ALL {right}) UNION ALL ({right} EXCEPT ALL {left})")


def test_from_table_to_table(events: PostgresDatabase) -> None:
    """Through Arrow, in one process; the types are those of the data."""
    report = copy(events.uri, events.uri, table="events", to_table="again")
    assert report.rows == ROWS
    assert difference(events, "again") == []
    with pytest.raises(AlreadyExists):
        copy(events.uri, events.uri, table="events", to_table="again")


def test_a_table_can_be_overwritten_with_itself(events: PostgresDatabase) -> None:
    """The rows that are read are those from before."""
    copy(events.uri, events.uri, table="events", to_table="again")
    copy(events.uri, events.uri, query="SELECT * FROM again WHERE id <= 5", to_table="again", if_exists="overwrite")
    assert events.execute("SELECT id FROM again ORDER BY id") == [(1,), (2,), (3,), (4,), (5,)]
    copy(events.uri, events.uri, query="SELECT id FROM again", to_table="again", if_exists="overwrite")
    assert events.execute("SELECT * FROM again ORDER BY id LIMIT 1") == [(1,)]


@pytest.mark.parametrize("format_name", ["parquet", "arrow"])
def test_through_a_file_that_has_types_and_back(events: PostgresDatabase, tmp_path: Path, format_name: str) -> None:
    """Out to a file, in from the file."""
    file = tmp_path / f"events.{format_name}"
    assert copy(events.uri, file, table="events").rows == ROWS
    assert copy(file, events.uri, to_table="again").rows == ROWS
    assert difference(events, "again") == []


def test_through_csv_into_a_table_that_has_types(events: PostgresDatabase, tmp_path: Path) -> None:
    """CSV has no types, the table has: text goes into its columns as what it says."""
    file = tmp_path / "events.csv"
    columns = ["id", "name", "price", "at", "odd", "ratio"]
    copy(events.uri, file, table="events", columns=columns)
    events.execute(f"CREATE TABLE again AS SELECT {', '.join(columns)}, hash FROM events WHERE false")
    copy(file, events.uri, to_table="again", if_exists="append")
    events.execute("UPDATE again SET hash = events.hash FROM events WHERE again.id = events.id")
    assert difference(events, "again") == []


def test_types_of_a_parquet_file(events: PostgresDatabase, tmp_path: Path) -> None:
    """Decimals are decimals, instants have their zone, bytes are bytes."""
    file = tmp_path / "events.parquet"
    copy(events.uri, file, table="events")
    assert [str(field.type) for field in pq.read_schema(file)] == [
        "int32", "string", "decimal128(12, 3)", "timestamp[us, tz=UTC]", "bool", "binary", "double", "string",
    ]  # fmt: skip


def test_what_does_not_fit_is_counted_in_the_report(events: PostgresDatabase, tmp_path: Path) -> None:
    """By default nothing is written; with a warning, NULL is; as text, all of it."""
    file = tmp_path / "x.parquet"
    text = "SELECT 'NaN'::numeric(5, 2) AS n FROM generate_series(1, 3)"
    with pytest.raises(SourceError, match="row 1: column 'n': NaN does not fit"):
        copy(events.uri, file, query=text)
    assert list(tmp_path.iterdir()) == []
    report = copy(events.uri, file, query=text, on_type_loss="warn")
    assert [str(loss) for loss in report.losses] == [
        "column 'n': 3 values became NULL: NaN does not fit decimal128(5, 2)"
    ]
    assert pq.read_table(file).to_pylist() == [{"n": None}] * 3
    copy(events.uri, file, query=text, on_type_loss="text", if_exists="overwrite")
    assert pq.read_table(file).to_pylist() == [{"n": "NaN"}] * 3


def test_a_source_that_fails_leaves_the_table_as_it_was(events: PostgresDatabase) -> None:
    """Though most of the rows had been sent already."""
    copy(events.uri, events.uri, table="events", to_table="again")
    failing = f"SELECT id, name, price, at, odd, hash, 1 / ({ROWS} - id) AS ratio, pair FROM events"
    with pytest.raises(SourceError, match="division by zero"):
        copy(events.uri, events.uri, query=failing, to_table="again", if_exists="overwrite")
    assert difference(events, "again") == []
