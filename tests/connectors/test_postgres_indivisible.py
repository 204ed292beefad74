"""PostgreSQL in partitions: what can not be divided says why; and what others do meanwhile, or the server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from penstock import formats
from penstock.connectors import SourceRequest
from penstock.connectors.postgres._ranges import _check_kind
from penstock.core.cancel import CancelScope
from penstock.errors import ConfigurationError, SourceError
from penstock.flow.partitions import PartitionableSource
from tests.conftest import started
from tests.connectors.parts import read_rows, source_of
from tests.connectors.postgres_partitions import ids_in, make, partitioned, read_each
from tests.connectors.postgres_parts import environment, nothing_left, query
from tests.core.threads import start, wait_until
from tests.servers.postgres import installations, run_postgres

if TYPE_CHECKING:
    from tests.servers.postgres import PostgresDatabase

__all__ = ["environment", "nothing_left"]

# --- what can not -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "by", "complaint"),
    [
        ({"query": "SELECT 1", "table": None}, None, "no order on the disk .* name a column with partition_by"),
        ({"limit": 5}, None, "limit can not be used with partitions"),
    ],
)
def test_what_is_refused_before_anybody_connects(asked: dict[str, Any], by: str | None, complaint: str) -> None:
    """By the call alone: there is no server behind this address."""
    source = source_of("postgresql://localhost:1/none", **({"table": "t"} | asked))
    assert isinstance(source, PartitionableSource)
    with pytest.raises(ConfigurationError, match=complaint):
        source.partitioned(2, by)


@pytest.mark.parametrize(
    ("asked", "by", "complaint"),
    [
        ({"table": "v"}, None, "v: it can not be read in partitions as it is: a view has no order .* partition_by"),
        ({}, "word", "partition_by takes a column of integers, dates or timestamps, and 'word' is text"),
        ({"table": "limited"}, "id", "it has a LIMIT"),
        ({"query": "SELECT * FROM t LIMIT 10", "table": None}, "id", "it has a LIMIT"),
        ({"query": "SELECT * FROM t TABLESAMPLE system (50)", "table": None}, "id", "it takes a sample"),
    ],
)
def test_what_can_not_be_divided_says_why(
    postgres: PostgresDatabase, asked: dict[str, Any], by: str | None, complaint: str
) -> None:
    """And what to do instead."""
    make(postgres, 100)
    postgres.execute("CREATE VIEW v AS SELECT * FROM t")
    postgres.execute("CREATE VIEW limited AS SELECT * FROM t LIMIT 10")
    with pytest.raises(ConfigurationError, match=complaint), partitioned(postgres, 2, by, **asked):
        pass


@pytest.mark.parametrize(
    ("kind", "storage", "version", "complaint"),
    [
        ("r", "columnar", 180000, "a table stored by 'columnar' has no order on the disk that is known; name a column"),
        ("r", "heap", 130014, "a server before PostgreSQL 14 would read the whole table for each range; name a column"),
        ("m", "heap", 140000, None),
        ("p", "", 120000, None),
    ],
)
def test_what_else_a_server_may_have(kind: str, storage: str, version: int, complaint: str | None) -> None:
    """Older ones, and storage of others' making, neither of which is here to be tried."""
    request = SourceRequest(uri="postgresql://h/db", formats=formats, table="t")
    with nullcontext() if complaint is None else pytest.raises(ConfigurationError, match=complaint):
        _check_kind(request, kind, storage, version)


def test_a_condition_with_the_largest_value_is_no_limit(postgres: PostgresDatabase) -> None:
    """PostgreSQL looks max() up in an index with a LIMIT of its own, which is the same each time."""
    make(postgres, 100)
    postgres.execute("CREATE INDEX ON t (id)")
    with partitioned(postgres, 2, where="id < (SELECT max(id) FROM t)") as partitions:
        assert ids_in(read_each(partitions)) == list(range(1, 100))


@pytest.mark.parametrize(
    ("table", "by", "complaint"),
    [("t", "di", "no column 'di' to divide by .did you mean 'id'"), ("u", None, '"u" does not exist .there are t')],
)
def test_what_does_not_exist(postgres: PostgresDatabase, table: str, by: str | None, complaint: str) -> None:
    """The error has what may have been meant."""
    make(postgres, 1)
    with pytest.raises(SourceError, match=complaint), partitioned(postgres, 2, by, table=table):
        pass


@pytest.fixture
def with_foreign_tables() -> Iterator[PostgresDatabase]:
    """A database of a server that has an extension for foreign tables, which the wheel's lacks."""
    able = [each for each in installations() if (each.bin_dir.parent / "lib" / "file_fdw.so").exists()]
    if not able:
        pytest.skip("no PostgreSQL here has the extension file_fdw")
    with started(run_postgres(able[0])) as server:
        database = server.new_database()
        database.execute("CREATE EXTENSION file_fdw")
        database.execute("CREATE SERVER files FOREIGN DATA WRAPPER file_fdw")
        yield database


def test_foreign_tables_know_nothing_of_the_snapshot(with_foreign_tables: PostgresDatabase) -> None:
    """Alone, in a view, or as a part of a table: their server would be asked by each range at another moment."""
    database = with_foreign_tables
    of_a_file = "SERVER files OPTIONS (filename '/dev/null', format 'csv')"
    database.execute(f"CREATE FOREIGN TABLE f (id int) {of_a_file}")
    database.execute("CREATE VIEW v AS SELECT 1 AS id UNION ALL SELECT id FROM f")
    database.execute("CREATE TABLE t (id int) PARTITION BY LIST (id)")
    database.execute("CREATE TABLE t_1 PARTITION OF t FOR VALUES IN (1)")
    database.execute(f"CREATE FOREIGN TABLE t_2 PARTITION OF t FOR VALUES IN (2) {of_a_file}")
    for table, by in (("f", None), ("f", "id"), ("v", "id"), ("t", None), ("t", "id")):
        with (
            pytest.raises(ConfigurationError, match="it reads a foreign table"),
            partitioned(database, 2, by, table=table),
        ):
            pass
    make(database, 1000, name="own")  # and what it has itself, this older server can divide as well
    for by in (None, "id"):
        with partitioned(database, 3, by, table="own") as partitions:
            assert ids_in(read_each(partitions)) == list(range(1, 1001))
            assert len(partitions.each) == 3
    with partitioned(database, 3, table="own") as partitions:
        pass
    with pytest.raises(SourceError, match="every connection must reach the same server"):
        read_rows(partitions.each[0].source)


# --- what others do meanwhile -------------------------------------------------------------------------------------------


def test_a_table_is_not_rewritten_meanwhile(postgres: PostgresDatabase) -> None:
    """Who wants to waits; and a range that had to wait behind him, for the one he waits for, gives up soon."""
    make(postgres, 100)
    with partitioned(postgres, 2) as partitions:
        rewriting = start(postgres.execute, "VACUUM FULL t")
        wait_until(lambda: ("Lock",) in postgres.execute("SELECT wait_event_type FROM pg_stat_activity"))
        with pytest.raises(SourceError, match=r"lock timeout .somebody waits to change"):
            read_rows(partitions.each[0].source)
    rewriting.result()


def test_a_snapshot_that_is_gone(postgres: PostgresDatabase) -> None:
    """A range that is opened too late, or at another server than the first, says so."""
    make(postgres, 100)
    with partitioned(postgres, 2) as partitions:
        pass
    with pytest.raises(SourceError, match=r"snapshot .* .every connection must reach the same server"):
        read_rows(partitions.each[1].source)


def test_idle_sessions_may_be_ended_but_not_the_one_that_shares(postgres: PostgresDatabase) -> None:
    """It does nothing for as long as the ranges are read, whatever the server has against that."""
    make(postgres, 100)
    postgres.execute(f"ALTER DATABASE {postgres.name} SET idle_in_transaction_session_timeout TO '1ms'")
    try:
        with partitioned(postgres, 2) as partitions:
            assert postgres.sessions() == [("idle in transaction", "SELECT pg_catalog.pg_export_snapshot()")]
            postgres.execute("SELECT pg_sleep(0.05)")
            assert len(postgres.sessions()) == 1
            assert partitions.each
    finally:
        postgres.execute(f"ALTER DATABASE {postgres.name} RESET idle_in_transaction_session_timeout")


def test_a_cancel_while_looking_stops_the_server(postgres: PostgresDatabase) -> None:
    """The least and largest value of a query that never ends."""
    asked = {"query": "SELECT i FROM generate_series(1, 1000000000) i, pg_sleep(600)", "table": None}
    scope = CancelScope()

    def divide() -> None:
        with scope, partitioned(postgres, 2, "i", **asked):
            pass

    dividing = start(divide)
    wait_until(lambda: any("min(" in text for state, text in postgres.sessions() if state == "active"))
    scope.cancel()
    dividing.result()
    assert scope.cancelled_caught


def test_losses_are_counted_together(postgres: PostgresDatabase) -> None:
    """Whichever range they are in."""
    source = query(postgres, "SELECT i, 'NaN'::numeric(5,2) AS n FROM generate_series(1, 10) i", on_type_loss="warn")
    assert isinstance(source, PartitionableSource)
    with source.partitioned(2, "i") as partitions:
        assert ids_in(read_each(partitions), "n") == [None] * 10
    (loss,) = source._request.losses.told()  # type: ignore[attr-defined]
    assert loss.count == 10
