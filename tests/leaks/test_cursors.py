"""Database cursors that were not read to their end, and connections that were not closed."""

from __future__ import annotations

import gc
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from penstock.core.closing import closing_cursor
from penstock.leaks._finders.descriptors import DescriptorFinder
from penstock.leaks._finders.resources import CursorFinder
from penstock.leaks._report.model import Leak
from tests.core.subprocesses import run_python
from tests.core.threads import start
from tests.leaks.finding import Look

if TYPE_CHECKING:
    from tests.servers.postgres import PostgresDatabase

KEPT: list[Any] = []


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", check_same_thread=False)) as connection:
        connection.execute("create table item (number integer)")
        connection.executemany("insert into item values (?)", [(number,) for number in range(10)])
        connection.commit()
        yield connection


@pytest.fixture
def psycopg() -> Any:
    return pytest.importorskip("psycopg", reason="psycopg is not installed")


# -- sqlite3


def test_a_sqlite_cursor_left_half_way_is_reported(connection: sqlite3.Connection) -> None:
    """A loop over rows that was left early keeps the statement, and its read transaction, open."""
    look = Look(CursorFinder())
    rows = connection.execute("select number from item")
    for (number,) in rows:
        if number == 3:
            break
    leak = look.leak()
    assert (leak.kind, leak.name) == ("cursor", "sqlite3.Cursor")
    assert "penstock.closing_cursor(cursor)" in leak.fix
    (holder,) = leak.holders
    assert holder.startswith("local 'rows' of test_a_sqlite_cursor_left_half_way_is_reported()")
    with closing_cursor(rows):
        pass
    assert look.leaks() == []


@pytest.mark.parametrize(
    "statement",
    [
        "select number from item where 0",
        "select count(*) from item",
        "insert into item values (1)",
        "create table other (a)",
        "pragma user_version",
    ],
)
def test_a_sqlite_cursor_with_nothing_to_come_is_none(connection: sqlite3.Connection, statement: str) -> None:
    """A statement that has given what it had is over, whether anybody closes the cursor or not."""
    look = Look(CursorFinder())
    cursor = connection.execute(statement)
    cursor.fetchone()
    assert look.leaks() == []


def test_a_sqlite_cursor_that_was_finished_is_none(connection: sqlite3.Connection) -> None:
    """Read to the end, closed, used for many inserts, or of a connection that is closed: nothing is open."""
    look = Look(CursorFinder())
    KEPT.append(connection.execute("select number from item"))
    KEPT[-1].fetchall()
    KEPT.append(connection.execute("select number from item"))
    KEPT[-1].close()
    KEPT.append(connection.executemany("insert into item values (?)", [(1,), (2,)]))
    KEPT.append(connection.execute("select number from item"))
    KEPT[-1].fetchone()
    try:
        assert len(look.leaks()) == 1
        connection.close()
        assert look.leaks() == []
    finally:
        KEPT.clear()


def test_a_sqlite_cursor_that_was_open_before_is_passed_over(connection: sqlite3.Connection) -> None:
    """Only what was begun since the snapshot is reported; the same cursor may begin anew."""
    cursor = connection.execute("select number from item")
    cursor.fetchone()
    look = Look(CursorFinder())
    assert look.leaks() == []
    other = connection.execute("select number from item")
    assert len(look.leaks()) == 1
    del other
    assert look.leaks() == []


def test_a_sqlite_cursor_of_a_class_of_its_own_is_found() -> None:
    """Subclasses of cursors and connections are found like the originals."""

    class Rows(sqlite3.Cursor):
        pass

    class Database(sqlite3.Connection):
        pass

    look = Look(CursorFinder())
    with closing(sqlite3.connect(":memory:", factory=Database)) as connection:
        cursor = connection.cursor(Rows)
        cursor.execute("select 1 union select 2")
        assert look.leak().name.endswith("Rows")
        cursor.close()


def test_a_sqlite_cursor_of_a_thread_is_in_order_unless_the_thread_is_not(connection: sqlite3.Connection) -> None:
    """A loop over rows in a thread that has not leaked goes on; in one that has, both are reported."""
    look = Look(CursorFinder())
    reading, done = threading.Event(), threading.Event()

    def read() -> None:
        for _ in connection.execute("select number from item"):
            reading.set()
            done.wait()

    thread = start(read)
    reading.wait()
    leaked = Leak(kind="thread", name="x", fix="", identity=("thread", thread.thread.ident, 0))
    assert look.leaks() == []
    assert [leak.kind for leak in look.leaks([leaked])] == ["cursor"]
    done.set()
    thread.join()
    assert look.leaks() == []


def test_connections_opened_before_the_first_check_are_known() -> None:
    """The first look that finds SQLite loaded looks for connections that were opened before anybody watched."""
    done = run_python(
        """
        import sqlite3
        from sqlite3 import connect
        connection = connect(":memory:")
        connection.execute("create table item (number integer)")
        connection.executemany("insert into item values (?)", [(1,), (2,)])

        from penstock.leaks._finders.resources import CursorFinder
        finder = CursorFinder()
        since = finder.baseline()
        cursor = connection.execute("select number from item")
        print(len(finder.stragglers(since)))
        del connection, cursor
        print(len(finder.stragglers(since)))
        """
    )
    assert done.stdout.split() == ["1", "0"], done.stderr


def test_keeping_track_of_connections_keeps_none_alive() -> None:
    """A connection that is dropped is collected, with the cycle it forms with its cache, as without a check."""
    Look(CursorFinder()).leaks()
    gone = threading.Event()

    class Telling(sqlite3.Connection):
        def __del__(self) -> None:
            self.close()
            gone.set()

    connection = sqlite3.connect(":memory:", factory=Telling)
    assert not gone.is_set()
    del connection
    gc.collect()
    assert gone.is_set()


# -- psycopg


def test_a_psycopg_cursor_with_unread_rows_is_one_leak(psycopg: Any, postgres: PostgresDatabase) -> None:
    """The cursor is reported with how much is unread; the connection behind it is not reported again."""
    look = Look(CursorFinder(), DescriptorFinder())
    with psycopg.connect(postgres.uri) as connection:
        cursor = connection.execute("select generate_series(1, 10)")
        cursor.fetchone()
        leak = look.leak()
        assert leak.kind == "cursor"
        assert leak.name == "psycopg.Cursor, 9 of 10 rows unread"
        assert leak.started_at is not None
        cursor.fetchall()
        assert [leak.kind for leak in look.leaks()] == ["socket"]
    assert look.leaks() == []


def test_a_psycopg_cursor_without_rows_is_none(psycopg: Any, postgres: PostgresDatabase) -> None:
    """Closed, never used, without a result, or of a closed connection: nothing is left to read."""
    look = Look(CursorFinder())
    with psycopg.connect(postgres.uri) as connection:
        KEPT.append(connection.cursor())
        KEPT.append(connection.execute("create temp table item (number integer)"))
        KEPT.append(connection.execute("insert into item values (1), (2)"))
        KEPT.append(connection.execute("select generate_series(1, 10)"))
        KEPT[-1].close()
        KEPT.append(connection.execute("select generate_series(1, 10)"))
        assert len(look.leaks()) == 1
    assert look.leaks() == []
    KEPT.clear()


def test_a_server_side_cursor_is_open_until_closed_or_the_transaction_ends(
    psycopg: Any, postgres: PostgresDatabase
) -> None:
    """A named cursor is the server's: it is there before the first row and after the last."""
    look = Look(CursorFinder())
    with psycopg.connect(postgres.uri) as connection:
        cursor = connection.cursor("rows")
        assert look.leaks() == []
        cursor.execute("select generate_series(1, 3)")
        assert look.leak().name == "psycopg.ServerCursor 'rows'"
        cursor.fetchall()
        assert len(look.leaks()) == 1
        connection.commit()
        assert look.leaks() == []
        cursor.close()


def test_a_server_side_cursor_that_outlives_its_transaction_is_open(psycopg: Any, postgres: PostgresDatabase) -> None:
    """One that was declared WITH HOLD stays after the commit."""
    look = Look(CursorFinder())
    with psycopg.connect(postgres.uri) as connection:
        cursor = connection.cursor("rows", withhold=True)
        cursor.execute("select generate_series(1, 3)")
        connection.commit()
        assert len(look.leaks()) == 1
        cursor.close()
        assert look.leaks() == []


def test_a_psycopg_connection_left_open_is_reported(psycopg: Any, postgres: PostgresDatabase) -> None:
    """Libpq's socket belongs to the psycopg connection; held by a module it is in order."""
    look = Look(DescriptorFinder())
    connection = psycopg.connect(postgres.uri)
    leak = look.leak()
    assert leak.kind == "socket"
    assert leak.name.endswith(f"-> {postgres.host}:{postgres.port}")
    assert "psycopg.connect(...)" in leak.fix
    KEPT.append(connection)
    assert look.leaks() == []
    KEPT.clear()
    connection.close()
    assert look.leaks() == []


def test_an_idle_connection_of_a_psycopg_pool_is_in_order(psycopg: Any, postgres: PostgresDatabase) -> None:
    """What the pool has lies ready; what was taken and not given back is reported."""
    psycopg_pool = pytest.importorskip("psycopg_pool", reason="psycopg_pool is not installed")
    look = Look(DescriptorFinder())
    with psycopg_pool.ConnectionPool(postgres.uri, min_size=1, max_size=1, open=True) as pool:
        pool.wait()
        assert any(straggler.kind == "socket" for straggler in look.stragglers())
        assert look.leaks() == []
        taken = pool.getconn()
        assert len(look.leaks()) == 1
        pool.putconn(taken)
        assert look.leaks() == []
    assert look.leaks() == []


# -- pymongo


def test_a_pymongo_cursor_left_half_way_is_reported() -> None:
    """A cursor of which the server has more is reported with its collection; one that was closed or read is not."""
    pytest.importorskip("pymongo", reason="pymongo is not installed")
    from tests.leaks.corpus import mongo_service

    with mongo_service.connect_to_mongo_service() as client, mongo_service._services.pop() as service:
        look = Look(CursorFinder(), DescriptorFinder())
        items = client.shop.items
        unsent, read = items.find(), items.find(limit=3)
        assert len(list(read)) == 3
        assert look.leaks() == []
        half = items.find()
        next(half)
        leak = look.leak()
        assert (leak.kind, leak.name) == ("cursor", "pymongo.Cursor of shop.items")
        assert leak.started_at is not None
        half.close()
        assert look.leaks() == []
        unsent.close()
        service.communicate()  # the end of its input is its own
