"""Loading a table of PostgreSQL that others have to do with: those that refer to it, those that make it at the same moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pyarrow as pa
import pytest

from penstock.errors import AlreadyExists, ConfigurationError, SinkError
from tests.connectors.postgres_parts import environment, load, nothing_left, one_postgres, table_sink
from tests.core.threads import start, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.postgres import PostgresDatabase

__all__ = ["environment", "nothing_left", "one_postgres"]

ROWS = pa.table({"id": pa.array([1, 2], pa.int32())})


@pytest.fixture(autouse=True)
def tables_gone(postgres: PostgresDatabase) -> Iterator[None]:
    """No test leaves a table to the next."""
    yield
    postgres.execute("DROP TABLE IF EXISTS other, t CASCADE")


@pytest.mark.parametrize(
    ("action", "what"),
    [("CASCADE", "delete its rows"), ("SET NULL", "change its rows"), ("SET DEFAULT", "change its rows")],
)
def test_overwriting_touches_no_other_table(postgres: PostgresDatabase, action: str, what: str) -> None:
    """What would happen to it is said before anything is read, and again if it came to that meanwhile."""
    postgres.execute("CREATE TABLE t (id int PRIMARY KEY)")
    postgres.execute("INSERT INTO t VALUES (1), (2)")
    sink = table_sink(postgres, if_exists="overwrite")
    assert sink.check()
    postgres.execute(f"CREATE TABLE other (id int DEFAULT 2 REFERENCES t ON DELETE {action})")
    postgres.execute("INSERT INTO other VALUES (1)")
    for attempt in (sink.check, lambda: load(postgres, ROWS, if_exists="overwrite")):
        with pytest.raises(SinkError, match=f"would {what} of other too, by its foreign key 'other_id_fkey'"):
            attempt()
    assert postgres.execute("SELECT id FROM other") == [(1,)]


def test_a_table_that_refers_to_itself_is_overwritten(postgres: PostgresDatabase) -> None:
    """Its own rows are replaced in any case."""
    postgres.execute("CREATE TABLE t (id int PRIMARY KEY, above int REFERENCES t ON DELETE CASCADE)")
    postgres.execute("INSERT INTO t VALUES (7, NULL), (8, 7)")
    above = pa.array([None, 1], pa.int32())
    load(postgres, ROWS.append_column("above", above), if_exists="overwrite")
    assert postgres.execute("SELECT id, above FROM t ORDER BY id") == [(1, None), (2, 1)]


@pytest.mark.parametrize(
    "keeping",
    [
        "CREATE RULE keep AS ON DELETE TO t WHERE old.id = 7 DO INSTEAD NOTHING",
        "CREATE TRIGGER keep BEFORE DELETE ON t FOR EACH ROW WHEN (old.id = 7) EXECUTE FUNCTION keep()",
        "CREATE TRIGGER keep BEFORE DELETE ON part FOR EACH ROW WHEN (old.id = 7) EXECUTE FUNCTION keep()",
    ],
)
def test_a_table_that_keeps_its_rows_is_not_overwritten(postgres: PostgresDatabase, keeping: str) -> None:
    """Old rows beside the new ones would be neither the one table nor the other."""
    postgres.execute(
        "CREATE OR REPLACE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$"
    )
    postgres.execute("CREATE TABLE t (id int)" + (" PARTITION BY RANGE (id)" if "part" in keeping else ""))
    if "part" in keeping:
        postgres.execute("CREATE TABLE part PARTITION OF t DEFAULT")
    postgres.execute("INSERT INTO t VALUES (7), (8)")
    postgres.execute(keeping)
    with pytest.raises(SinkError, match="can not be emptied: a trigger or rule keeps its rows"):
        load(postgres, ROWS, if_exists="overwrite")
    assert postgres.execute("SELECT id FROM t ORDER BY id") == [(7,), (8,)]
    postgres.execute("DELETE FROM t WHERE id <> 7")
    load(postgres, ROWS, if_exists="append")


def test_references_that_only_forbid_may_be_there(postgres: PostgresDatabase) -> None:
    """The server says so itself when they are broken; and appending breaks none."""
    postgres.execute("CREATE TABLE t (id int PRIMARY KEY)")
    postgres.execute("INSERT INTO t VALUES (3)")
    postgres.execute("CREATE TABLE other (id int REFERENCES t)")
    load(postgres, ROWS, if_exists="append")
    load(postgres, ROWS, if_exists="overwrite")
    postgres.execute("INSERT INTO other VALUES (1)")
    with pytest.raises(SinkError, match="still referenced"):
        load(postgres, ROWS, if_exists="overwrite")
    assert postgres.execute("SELECT id FROM t ORDER BY id") == [(1,), (2,)]


@pytest.mark.parametrize(("if_exists", "expected"), [("append", [5, 1, 2]), ("overwrite", [1, 2]), ("fail", [5])])
def test_a_table_that_somebody_makes_at_the_same_moment(
    postgres: PostgresDatabase, if_exists: str, expected: list[int]
) -> None:
    """The load waits for that transaction; then the table was there, with what ``if_exists`` says of it."""
    with psycopg.connect(postgres.dsn) as other:
        other.execute("CREATE TABLE t (id int)")
        other.execute("INSERT INTO t VALUES (5)")
        loading = start(lambda: load(postgres, ROWS, if_exists=if_exists))
        waiting = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        wait_until(lambda: postgres.execute(waiting) == [(1,)])
        other.commit()
        if if_exists == "fail":
            with pytest.raises(AlreadyExists):
                loading.result()
        else:
            loading.result()
    assert [row[0] for row in postgres.execute("SELECT id FROM t")] == expected


@pytest.mark.parametrize("if_exists", ["append", "fail"])
def test_a_type_of_that_name_is_in_the_way(postgres: PostgresDatabase, if_exists: str) -> None:
    """Waiting for it to become a table has an end; the server's words say what is there."""
    postgres.execute("CREATE TYPE t AS ENUM ('a')")
    with pytest.raises(AlreadyExists, match='type "t" already exists'):
        load(postgres, ROWS, if_exists=if_exists)
    postgres.execute("DROP TYPE t")


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_names_that_can_not_be_are_refused(postgres: PostgresDatabase, name: str) -> None:
    """Of columns and of tables, in one line."""
    with pytest.raises(ConfigurationError, match=r"is no name in PostgreSQL|NUL character in the name"):
        table_sink(postgres, name).check()
    if name == "\ud800":  # of which Arrow makes no name
        return
    for column in (name, ""):
        with pytest.raises(ConfigurationError, match="is no name in PostgreSQL"):
            load(postgres, pa.table({column: [1]}))
