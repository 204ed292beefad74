"""PostgreSQL in partitions: every row of one snapshot in exactly one range, and a clear word where that can not be."""

from __future__ import annotations

import threading
from itertools import pairwise
from typing import TYPE_CHECKING

import psycopg
import pytest
from hypothesis import given, strategies as st

from penstock.connectors.postgres._ranges import _block_bounds
from tests.connectors.parts import read_bytes, read_rows, read_table
from tests.connectors.postgres_partitions import ROWS, WIDE, ids_in, make, partitioned, read_each, trim
from tests.connectors.postgres_parts import environment, nothing_left
from tests.core.threads import start

if TYPE_CHECKING:
    from tests.servers.postgres import PostgresDatabase

__all__ = ["environment", "nothing_left"]

# --- every row once -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [1, 2, 5])
@pytest.mark.parametrize("by", [None, "id"])
def test_every_row_is_in_one_range(postgres: PostgresDatabase, most: int, by: str | None) -> None:
    """Ranges are of about the same size, in order, and have the columns that were told."""
    make(postgres)
    with partitioned(postgres, most, by) as partitions:
        tables = read_each(partitions)
    assert len(tables) == most
    assert ids_in(tables) == list(range(1, ROWS + 1))
    assert all(table.schema == partitions.schema for table in tables)
    assert max(abs(table.num_rows - ROWS / most) for table in tables) < 50


def test_bytes_are_those_of_the_server(postgres: PostgresDatabase) -> None:
    """Each range as CSV with a header of its own; rows are counted."""
    make(postgres, 100)
    with partitioned(postgres, 2) as partitions:
        for partition in partitions.each:
            text = read_bytes(partition.source)
            assert text.startswith(b"id,word\n")
            assert text.count(b"\n") - 1 == partition.source.rows_read


@pytest.mark.parametrize(("rows", "most", "expected"), [(0, 4, 1), (1, 4, 1), (30, 4, 2), (1, 1, 1)])
def test_fewer_blocks_are_fewer_ranges(postgres: PostgresDatabase, rows: int, most: int, expected: int) -> None:
    """A table of no block or one is one range; none is empty because there was nothing to divide."""
    make(postgres, rows)
    with partitioned(postgres, most) as partitions:
        assert ids_in(read_each(partitions)) == list(range(1, rows + 1))
        assert len(partitions.each) == expected
    assert partitions.each[0].range == ("all rows" if expected == 1 else "ctid < (1,0)")


def test_rows_without_columns(postgres: PostgresDatabase) -> None:
    """Are rows."""
    make(postgres, 100)
    postgres.execute("ALTER TABLE t DROP COLUMN id, DROP COLUMN word")
    with partitioned(postgres, 2) as partitions:
        assert sum(table.num_rows for table in read_each(partitions)) == 100


def test_a_range_of_blocks_is_all_that_is_read_for_it(postgres: PostgresDatabase) -> None:
    """The server scans a range of the table and not the whole of it, also with a condition of the user's own."""
    make(postgres)
    with partitioned(postgres, 3, where="id % 2 = 0 OR id < 0") as partitions:
        for partition in partitions.each:
            plan = postgres.execute(f"EXPLAIN {partition.source._statement}")  # type: ignore[attr-defined]
            assert "Tid Range Scan" in str(plan)
        assert ids_in(read_each(partitions)) == list(range(2, ROWS + 1, 2))


def test_a_condition_that_ends_in_a_comment(postgres: PostgresDatabase) -> None:
    """It does not comment out the range."""
    make(postgres, 100)
    with partitioned(postgres, 2, where="id > 10 -- and no more") as partitions:
        assert ids_in(read_each(partitions)) == list(range(11, 101))


def test_columns_need_not_hold_the_one_to_divide_by(postgres: PostgresDatabase) -> None:
    """Only those asked for are read."""
    make(postgres, 100)
    with partitioned(postgres, 2, "id", columns=["word"]) as partitions:
        tables = read_each(partitions)
    assert [table.column_names for table in tables] == [["word"], ["word"]]
    assert len(set(ids_in(tables, "word"))) == 100


@pytest.mark.parametrize("by", [None, "id"])
def test_one_snapshot_whatever_others_write(postgres: PostgresDatabase, by: str | None) -> None:
    """Rows that are added, changed, moved or deleted after the snapshot: each range sees the table as it was."""
    make(postgres)
    with partitioned(postgres, 3, by) as partitions:
        tables = [read_table(partitions.each[0].source)]
        postgres.execute("UPDATE t SET id = id + 10000")
        postgres.execute(f"INSERT INTO t SELECT i, {WIDE} FROM generate_series(1, 5000) i")
        tables.append(read_table(partitions.each[1].source))
        postgres.execute("DELETE FROM t WHERE id % 2 = 0")
        postgres.execute("VACUUM t")
        tables.append(read_table(partitions.each[2].source))
    assert ids_in(tables) == list(range(1, ROWS + 1))


def test_a_table_that_grows_and_changes_all_the_time(postgres: PostgresDatabase) -> None:
    """Pairs of rows are moved within one transaction; whatever the moment, every snapshot has each pair once, whole."""
    postgres.execute("CREATE TABLE t (id int, side int, pad text)")
    postgres.execute(f"INSERT INTO t SELECT i, s, {WIDE} FROM generate_series(1, 1000) i, generate_series(0, 1) s")
    stop = threading.Event()

    def write() -> int:
        number = 1000
        with psycopg.connect(postgres.dsn) as connection:
            while not stop.is_set():
                number += 1
                connection.execute("DELETE FROM t WHERE id = %s", [number - 1000])
                connection.execute(
                    "INSERT INTO t SELECT %s, s, repeat('x', 300) FROM generate_series(0, 1) s", [number]
                )
                connection.commit()
        return number

    writing = start(write)
    try:
        for _ in range(8):
            with partitioned(postgres, 4) as partitions:
                found = sorted((row["id"], row["side"]) for part in partitions.each for row in read_rows(part.source))
            first = found[0][0]
            assert found == [(number, side) for number in range(first, first + 1000) for side in (0, 1)]
    finally:
        stop.set()
    assert writing.result() > 1000


def test_sources_may_be_opened_in_any_order(postgres: PostgresDatabase) -> None:
    """All at once, the last first: they share nothing but the snapshot."""
    make(postgres, 300)
    with partitioned(postgres, 3) as partitions:
        opened = [partition.source.open_batches() for partition in reversed(partitions.each)]
        streams = [each.__enter__() for each in opened]
        assert sum(batch.num_rows for stream in streams for batch in stream) == 300
        for each in opened:
            each.__exit__(None, None, None)


# --- what can be divided ------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 1000), max_size=5), st.integers(1, 20))
def test_bounds_of_blocks_rise_and_are_even(blocks: list[int], most: int) -> None:
    """They divide the blocks of all tables together, and no range is empty."""
    bounds = _block_bounds(blocks, most)
    ends = [0, *bounds, max(blocks, default=0)]
    sizes = [sum(min(b, high) - min(b, low) for b in blocks) for low, high in pairwise(ends)]
    assert len(bounds) < most
    assert sum(sizes) == sum(blocks)
    assert bounds == sorted(set(bounds))
    assert not bounds or max(sizes) <= sum(blocks) / most + len(blocks) + 1


def test_partitioned_tables_and_parents(postgres: PostgresDatabase) -> None:
    """The same place on the disk of each of their tables is in the same range; every row is in one all the same."""
    postgres.execute("CREATE TABLE t (id int, word text) PARTITION BY RANGE (id)")
    for low, high in ((1, 4000), (4000, 4200), (4200, 6000)):
        postgres.execute(f"CREATE TABLE t_{low} PARTITION OF t FOR VALUES FROM ({low}) TO ({high})")
    postgres.execute(f"INSERT INTO t SELECT i, {WIDE} FROM generate_series(1, {ROWS}) i")
    make(postgres, 1000, name="parent")
    postgres.execute("CREATE TABLE child () INHERITS (parent)")
    postgres.execute(f"INSERT INTO child SELECT i, {WIDE} FROM generate_series(1001, 3000) i")
    for name in ("t", "child"):
        trim(postgres, name)
    for table, rows in (("t", ROWS), ("parent", 3000)):
        with partitioned(postgres, 4, table=table) as partitions:
            tables = read_each(partitions)
        assert sorted(ids_in(tables)) == list(range(1, rows + 1))
        assert max(abs(each.num_rows - rows / 4) for each in tables) < 100


def test_a_materialized_view_is_as_a_table(postgres: PostgresDatabase) -> None:
    """It has blocks."""
    make(postgres)
    postgres.execute("CREATE MATERIALIZED VIEW m AS SELECT id * 2 AS id, word FROM t")
    with partitioned(postgres, 2, table="public.m") as partitions:
        assert ids_in(read_each(partitions)) == list(range(2, 2 * ROWS + 1, 2))
        assert len(partitions.each) == 2


@pytest.mark.parametrize(
    ("kind", "expression"),
    [
        ("smallint", "i - 50"),
        ("integer", "(i - 50) * 40000000"),
        ("bigint", "(i - 50) * 180000000000000000"),
        ("date", "date '2024-02-29' + i * 100"),
        ("timestamp", "timestamp '1999-12-31 23:00' + i * interval '1.5 s'"),
        ("timestamptz", "timestamptz '0001-01-01 BC' + i * interval '20 years'"),
    ],
)
def test_columns_of_every_type_that_has_an_order(postgres: PostgresDatabase, kind: str, expression: str) -> None:
    """Each value is in one range; the ranges are even where the values are."""
    postgres.execute(f"CREATE TABLE t AS SELECT i AS n, ({expression})::{kind} AS at FROM generate_series(1, 100) i")
    with partitioned(postgres, 4, "at", columns=["n"]) as partitions:
        tables = read_each(partitions)
    assert ids_in(tables, "n") == list(range(1, 101))
    assert [24 <= table.num_rows <= 26 for table in tables] == [True] * 4


def test_values_without_a_place_between_the_others(postgres: PostgresDatabase) -> None:
    """NULL and -infinity are in the first range, infinity in the last; neither decides where ranges begin."""
    postgres.execute(
        "CREATE TABLE t (id, day) AS VALUES (1, NULL::date), (2, '-infinity'), (3, '2024-01-01'), (4, '2024-01-02'), (5, 'infinity')"
    )
    with partitioned(postgres, 2, "day", on_type_loss="warn") as partitions:
        assert [table["id"].to_pylist() for table in read_each(partitions)] == [[1, 2, 3], [4, 5]]


@pytest.mark.parametrize("values", ["(NULL::int), (NULL)", "(7), (7)"])
def test_a_column_of_one_value_or_none_is_one_range(postgres: PostgresDatabase, values: str) -> None:
    """There is nothing to divide by."""
    postgres.execute(f"CREATE TABLE t (id) AS VALUES {values}")
    with partitioned(postgres, 4, "id") as partitions:
        (table,) = read_each(partitions)
    assert table.num_rows == 2


def test_more_ranges_than_values_are_fewer(postgres: PostgresDatabase) -> None:
    """Three values are three ranges."""
    postgres.execute("CREATE TABLE t (id) AS VALUES (1), (2), (3)")
    with partitioned(postgres, 10, "id") as partitions:
        assert [table["id"].to_pylist() for table in read_each(partitions)] == [[1], [2], [3]]


def test_views_and_queries_by_a_column(postgres: PostgresDatabase) -> None:
    """A column that is computed, with a name that must be quoted."""
    make(postgres)
    postgres.execute('CREATE VIEW v AS SELECT id * 3 AS "the ""id""", max(word) AS word FROM t GROUP BY id')
    for asked in ({"table": "v"}, {"query": "SELECT * FROM v ORDER BY 2;", "table": None}):
        with partitioned(postgres, 3, 'the "id"', **asked) as partitions:
            tables = read_each(partitions)
        assert sorted(ids_in(tables, 'the "id"')) == list(range(3, 3 * ROWS + 1, 3))
        assert len(tables) == 3
