"""SQLite: every value as it is or a clear error; nothing created, nothing left open."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from penstock.connectors.sqlite import TYPE_TABLE
from penstock.core.cancel import CancelScope, fail_after
from penstock.errors import ConfigurationError, DeadlineExceeded, SourceError
from penstock.flow.contracts import Describable
from penstock.flow.description import ColumnType
from penstock.flow.losses import Loss, Losses
from tests.connectors.parts import Cancellable, cancelled_at_once, open_descriptors, read_rows, read_table, source_of

FOR_EVER = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a%20b?c#.db"


@pytest.fixture
def database(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path)) as connection:
        yield connection


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'data.db'}"


def fill(uri: str, *statements: str) -> None:
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def test_a_table_is_read_with_its_declared_types(uri: str) -> None:
    """Affinities become Arrow types; values, NULLs and the largest integers come through exactly."""
    fill(
        uri,
        "CREATE TABLE t (i INTEGER PRIMARY KEY, s VARCHAR(5), f DOUBLE, n DECIMAL(10, 2), b BOOLEAN, x BLOB, d DATE)",
        "INSERT INTO t VALUES (9223372036854775807, 'a''\n\"', 0.1, 10, 1, x'00ff', '2024-02-30')",
        "INSERT INTO t VALUES (-1, '', NULL, 1.5, 0, x'', NULL), (0, NULL, 3, NULL, NULL, NULL, '')",
    )
    table = read_table(source_of(uri, table="t", query=None))
    assert table.schema.types == [
        pa.int64(),
        pa.string(),
        pa.float64(),
        pa.float64(),
        pa.bool_(),
        pa.binary(),
        pa.string(),
    ]
    assert sorted(map(tuple, (row.values() for row in table.to_pylist()))) == [
        (-1, "", None, 1.5, False, b"", None),
        (0, None, 3.0, None, None, None, ""),
        (9223372036854775807, "a'\n\"", 0.1, 10.0, True, b"\0\xff", "2024-02-30"),
    ]


def test_expressions_get_the_type_of_their_first_values(uri: str) -> None:
    """Where nothing is declared, what is there decides."""
    fill(uri, "CREATE TABLE t (a)", "INSERT INTO t VALUES (1), (2)")
    table = read_table(source_of(uri, query="SELECT count(*) n, avg(a) f, 'x' s, x'00' b, NULL e, a FROM t"))
    assert table.schema.types == [pa.int64(), pa.float64(), pa.string(), pa.binary(), pa.string(), pa.int64()]


@pytest.mark.parametrize(
    ("declared", "values", "said"),
    [
        ("INTEGER", "(1), ('abc')", "column 'c' is read as int64, but row 2 holds text 'abc'"),
        ("INTEGER", "(1), (2.5)", "row 2 holds real 2.5"),
        ("TEXT", "('x'), (x'ff')", "column 'c' is read as string, but row 2 holds blob b'\\xff'"),
        ("BLOB", "(x'00'), ('text')", "column 'c' is read as binary, but row 2 holds text 'text'"),
        ("BOOLEAN", "(1), (2)", "column 'c' is read as bool, but row 2 holds integer 2"),
        ("REAL", "(1.5), ('x')", "row 2 holds text 'x'"),
        ("NUMERIC", "(1.5), (9007199254740993)", "row 2 holds integer 9007199254740993"),
        ("", "(1), ('x')", "row 1 holds integer 1"),
        ("INTEGER", f"(1), ('{'x' * 500}')", "row 2 holds text 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx..."),
    ],
)
def test_a_value_that_does_not_fit_is_an_error(uri: str, declared: str, values: str, said: str) -> None:
    """SQLite lets anything into any column; what the column's type can not hold is named, never bent or dropped."""
    fill(uri, f"CREATE TABLE t (c {declared})", f"INSERT INTO t VALUES {values}")
    with pytest.raises(SourceError) as caught:
        read_table(source_of(uri, table="t"))
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{uri} t: ")
    assert 'CAST("c" AS TEXT)' in str(caught.value)


def test_rows_are_numbered_across_batches(uri: str) -> None:
    """The row in a message is counted from the first of all."""
    fill(
        uri,
        "CREATE TABLE t (c INTEGER)",
        "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 5000) SELECT i FROM n",
        "INSERT INTO t VALUES ('x')",
    )
    with pytest.raises(SourceError, match="row 5001 holds text 'x'"):
        read_table(source_of(uri, table="t", batch_bytes=1000))


def test_batches_are_bounded_in_bytes(uri: str) -> None:
    """One wide row weighs as much as thousands of narrow ones, wherever it comes."""
    fill(
        uri,
        "CREATE TABLE t (s TEXT)",
        "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000) SELECT 'x' FROM n",
        "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 30) SELECT hex(zeroblob(50000)) FROM n",
    )
    with source_of(uri, table="t", batch_bytes=200_000).open_batches() as batches:
        sizes = [(batch.num_rows, batch.nbytes) for batch in batches]
    assert sum(rows for rows, _ in sizes) == 3030
    assert max(size for _, size in sizes) < 350_000


def test_batches_are_bounded_where_characters_have_several_bytes(uri: str) -> None:
    """After the first, no batch is larger for being written in another script."""
    fill(
        uri,
        "CREATE TABLE t (s TEXT)",
        "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 900) "
        "SELECT replace(hex(zeroblob(500)), '0', '\U0001f30a') FROM n",
    )
    with source_of(uri, table="t", batch_bytes=200_000).open_batches() as batches:
        sizes = [batch.nbytes for batch in batches]
    assert len(sizes) > 10
    assert max(sizes[1:]) < 250_000


def test_columns_where_and_limit_narrow_a_table_or_query(uri: str) -> None:
    """They are SQL's own, in the order given."""
    fill(uri, 'CREATE TABLE "odd ""name" ("a b" INT, c INT)', 'INSERT INTO "odd ""name" VALUES (1, 2), (3, 4), (5, 6)')
    expected = [{"c": 4, "a b": 3}]
    narrow = {"columns": ["c", "a b"], "where": "c > 2", "limit": 1}
    assert read_rows(source_of(uri, table='odd "name', **narrow)) == expected
    assert read_rows(source_of(uri, query='SELECT * FROM "odd ""name"; ', **narrow)) == expected
    assert read_rows(source_of(uri, query='SELECT c FROM "odd ""name" -- note', limit=1)) == [{"c": 2}]


def test_columns_may_share_a_name(uri: str) -> None:
    """Two columns of one name stay two."""
    fill(uri, "CREATE TABLE t (a INT)", "INSERT INTO t VALUES (1)")
    assert read_table(source_of(uri, query="SELECT a, a + 1 AS a FROM t")).schema.names == ["a", "a"]


def test_an_empty_table_has_its_columns(uri: str) -> None:
    """No rows is not no schema."""
    fill(uri, "CREATE TABLE t (a INT, b TEXT)")
    table = read_table(source_of(uri, table="t"))
    assert (table.num_rows, table.schema.types) == (0, [pa.int64(), pa.string()])


def test_rows_are_counted(uri: str) -> None:
    """rows_read is None before, and final afterwards."""
    fill(uri, "CREATE TABLE t (a INT)", "INSERT INTO t VALUES (1), (2), (3)")
    source = source_of(uri, table="t")
    assert source.rows_read is None
    read_table(source)
    assert source.rows_read == 3


def test_any_file_name_works(path: Path, database: sqlite3.Connection) -> None:
    """Percent signs, hashes and question marks in a name are no syntax; a question mark is, in an address."""
    database.execute("CREATE TABLE t (a INT)")
    os.link(path, path.with_name("a%20b#.db"))
    assert read_rows(source_of(f"sqlite:///{path.with_name('a%20b#.db')}", table="t")) == []


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"table": "evnts"}, "no such table: evnts (did you mean 'events'?)"),
        ({"table": "zzz"}, "no such table: zzz (there are events, users)"),
        ({"query": "SELECT * FROM evnts"}, "did you mean 'events'?"),
        ({"table": "events", "columns": ["nope"]}, "events: no column 'nope' (there are id)"),
        ({"table": "events", "columns": ["id", "ids"]}, "no column 'ids' (did you mean 'id'?)"),
        ({"query": "SELECT 1 AS one", "columns": ["on"]}, "no column 'on' (did you mean 'one'?)"),
        ({"table": "events", "columns": ["id"], "where": "nope = 1"}, "no such column: nope"),
        ({"query": "SELEC 1"}, 'near "SELEC": syntax error'),
        ({"query": "DELETE FROM events"}, "attempt to write a readonly database (sources are only read)"),
        ({"query": "CREATE TABLE x (a)"}, "attempt to write a readonly database"),
        ({"query": "SELECT 1; SELECT 2"}, "one statement at a time"),
        ({"query": "BEGIN"}, "the query returns no rows (use a SELECT)"),
    ],
)
def test_what_the_database_refuses_is_said_clearly(uri: str, query: dict[str, object], said: str) -> None:
    """One line: where, what, what to do; SQLite's own error is its cause."""
    fill(uri, "CREATE TABLE events (id INT)", "CREATE VIEW users AS SELECT * FROM events")
    with pytest.raises(SourceError) as caught:
        read_table(source_of(uri, **query))
    assert said in str(caught.value)
    assert uri in str(caught.value)


def test_a_missing_file_is_not_created(tmp_path: Path) -> None:
    """The similar name is offered, and the folder stays as it was."""
    (tmp_path / "events.db").touch()
    with pytest.raises(SourceError, match=r"no such file \(did you mean 'events.db'"):
        read_table(source_of(f"sqlite:///{tmp_path}/evnts.db", table="t"))
    assert [entry.name for entry in tmp_path.iterdir()] == ["events.db"]


def test_what_is_no_database_is_said_clearly(tmp_path: Path) -> None:
    """A text file, and a folder."""
    (tmp_path / "text.db").write_text("hello, I am no database at all\n" * 100)
    with pytest.raises(SourceError, match=r"file is not a database \(is it an SQLite file"):
        read_table(source_of(f"sqlite:///{tmp_path}/text.db", table="t"))
    with pytest.raises(SourceError, match="it is a folder, and not a file"):
        read_table(source_of(f"sqlite:///{tmp_path}", table="t"))


def test_a_value_beyond_all_bounds_is_an_error(uri: str) -> None:
    """A gigabyte in one value does not go into memory."""
    fill(uri, "CREATE TABLE t (a BLOB)")
    with pytest.raises(SourceError, match="larger than 64 MiB"):
        read_table(source_of(uri, query="SELECT zeroblob(100000000) AS a"))


def test_bytes_are_refused() -> None:
    """SQLite has none, and says so in byte_formats and here."""
    source = source_of("sqlite:///x.db", table="t")
    assert source.byte_formats == frozenset()
    with pytest.raises(ConfigurationError, match="SQLite does not write csv itself"):
        source.open_bytes("csv")


def test_the_connection_closes_on_every_way_out(uri: str) -> None:
    """After the end, after a break, after an error in the block, after an error of the database."""
    fill(uri, "CREATE TABLE t (a INT)", "INSERT INTO t VALUES (1), (2), ('x')")
    before = open_descriptors()
    with source_of(uri, table="t", limit=2).open_batches() as batches:
        list(batches)
    with source_of(uri, table="t", limit=2, batch_bytes=1).open_batches() as batches:
        next(iter(batches))
    with pytest.raises(KeyError), source_of(uri, table="t").open_batches():
        raise KeyError
    with pytest.raises(SourceError):
        read_table(source_of(uri, table="t"))
    with pytest.raises(SourceError):
        read_table(source_of(uri, table="absent"))
    assert open_descriptors() == before


def test_a_cancel_interrupts_a_query_that_would_never_end(uri: str) -> None:
    """While SQLite computes its first row, nobody waits for it."""
    fill(uri, "CREATE TABLE t (a INT)")
    call = Cancellable(lambda: read_table(source_of(uri, query=FOR_EVER)))
    call.wait_still()
    assert call.cancel() < 0.5


def test_a_deadline_interrupts_it_too(uri: str) -> None:
    """fail_after works as around any wait of ours."""
    fill(uri, "CREATE TABLE t (a INT)")
    with pytest.raises(DeadlineExceeded), fail_after(0.05):
        read_table(source_of(uri, query=FOR_EVER))


def test_a_scope_cancelled_before_runs_nothing(uri: str) -> None:
    """No statement is run under a cancelled scope."""
    fill(uri, "CREATE TABLE t (a INT)")
    cancelled_at_once(lambda: read_table(source_of(uri, table="t")))


def test_a_cancel_between_batches_ends_it(uri: str) -> None:
    """A stream that is cancelled while nobody is inside SQLite raises at the next batch."""
    fill(uri, "CREATE TABLE t (a INT)", "INSERT INTO t VALUES (1), (2), (3)")
    seen = []
    with CancelScope() as scope, source_of(uri, table="t", batch_bytes=1).open_batches() as batches:
        for batch in batches:
            seen.append(batch.num_rows)
            scope.cancel()
    assert scope.cancelled_caught
    assert seen == [1]


def test_a_locked_database_is_an_error_in_time(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another writer's lock is waited for, a while, and then named as worth another try."""
    monkeypatch.setattr("penstock.connectors.sqlite._database.BUSY_SECONDS", 0.1)
    fill(uri, "CREATE TABLE t (a INT)")
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"), isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SourceError, match=r"database is locked \(another process is writing") as caught:
            read_table(source_of(uri, table="t"))
    assert caught.value.transient


def test_it_is_read_in_the_thread_that_opened_it(uri: str) -> None:
    """A stage opens and iterates in its own thread, whichever made the source."""
    fill(uri, "CREATE TABLE t (a INT)", "INSERT INTO t VALUES (1)")
    source = source_of(uri, table="t")
    read: list[list[dict[str, object]]] = []
    thread = threading.Thread(target=lambda: read.append(read_rows(source)))
    thread.start()
    thread.join()
    assert read == [[{"a": 1}]]


def test_values_that_do_not_fit_become_null_when_told_so(uri: str) -> None:
    """on_type_loss="warn": they are counted by column and kind; what fits stays."""
    fill(
        uri,
        "CREATE TABLE t (i INTEGER, b BLOB)",
        "INSERT INTO t VALUES (1, x'00'), ('x', 'y'), (2.5, NULL), ('z', x'')",
    )
    losses = Losses()
    rows = read_rows(source_of(uri, table="t", on_type_loss="warn", losses=losses))
    assert [tuple(row.values()) for row in rows] == [(1, b"\0"), (None, None), (None, None), (None, b"")]
    assert losses.told() == (
        Loss("i", "text does not fit int64", 2),
        Loss("i", "real does not fit int64", 1),
        Loss("b", "text does not fit binary", 1),
    )


def test_any_column_is_text_when_told_so(uri: str) -> None:
    """on_type_loss="text": as SQLite lets any value into any column, and a double with all its digits."""
    fill(
        uri,
        "CREATE TABLE t (i INTEGER, r REAL, b BLOB)",
        "INSERT INTO t VALUES (1, 0.1, x'00ff'), ('x', 1e999, 'y'), (NULL, 2, NULL)",
    )
    table = read_table(source_of(uri, table="t", on_type_loss="text"))
    assert set(table.schema.types) == {pa.string()}
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        ("1", "0.1", "X'00FF'"),
        ("x", "Inf", "y"),
        (None, "2.0", None),
    ]


def test_a_strict_table_keeps_its_types_also_then(uri: str) -> None:
    """Nothing else can be in it."""
    fill(uri, "CREATE TABLE t (i INTEGER, s TEXT) STRICT", "INSERT INTO t VALUES (1, 'x')")
    table = read_table(source_of(uri, table="t", on_type_loss="text"))
    assert table.schema.types == [pa.int64(), pa.string()]


def test_it_describes_itself_without_reading(uri: str) -> None:
    """Columns with their types, how it is read, and how many rows there may be."""
    fill(uri, "CREATE TABLE t (a VARCHAR(5), b)", "INSERT INTO t VALUES ('x', 1), ('y', 2)")
    source = source_of(uri, table="t")
    assert isinstance(source, Describable)
    described = source.describe(None)
    assert described.columns == (
        ColumnType("a", "VARCHAR(5)", "string"),
        ColumnType("b", "not declared", "", "as the values of the first batch are"),
    )
    assert (described.estimated_rows, source.rows_read) == (2, None)
    assert "snapshot" in described.consistency
    narrowed = source_of(uri, table="t", limit=1).describe(None)  # type: ignore[attr-defined]
    assert narrowed.estimated_rows is None
    texts = source_of(uri, table="t", on_type_loss="text").describe(None).columns  # type: ignore[attr-defined]
    assert {column.arrow_type for column in texts} == {"string"}
    with pytest.raises(SourceError, match="did you mean 't'"):
        source_of(uri, query="SELECT * FROM tt").describe(None)  # type: ignore[attr-defined]


def test_a_cancel_ends_the_wait_for_a_lock(uri: str) -> None:
    """SQLite's own waiting hears no cancel; ours does."""
    fill(uri, "CREATE TABLE t (a INT)")
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"), isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        call = Cancellable(lambda: read_table(source_of(uri, table="t")))
        call.wait_still()
        assert call.cancel() < 0.5


def test_every_type_of_the_contract_is_read_as_it_says(uri: str) -> None:
    """The table in the documentation is the one the code keeps."""
    for row in TYPE_TABLE[:-1]:
        for declared in row.source.replace("declared as ", "").replace("...", "").replace("(p, s)", "").split(", "):
            fill(uri, "DROP TABLE IF EXISTS t", f"CREATE TABLE t (a {declared})")
            assert str(read_table(source_of(uri, table="t")).schema.field("a").type) == row.arrow


def test_wide_values_come_through_among_others_without_a_copy(uri: str) -> None:
    """Text of any script, and bytes; what is wide stays in SQLite's own answer, so that Arrow allocates nothing for it."""
    texts = ["a", "x" * 5_000_000, "b", "\u00e9\U0001f600" * 1_000_000, None, ""]
    fill(uri, "CREATE TABLE t (i INTEGER, s TEXT, b BLOB)")
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as connection, connection:
        data = [None if text is None else text.encode() for text in texts]
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", zip(range(6), texts, data, strict=True))
    before = pa.total_allocated_bytes()
    table = read_table(source_of(uri, table="t", query=None, batch_bytes=1 << 20))
    assert pa.total_allocated_bytes() - before < 1 << 20
    assert table["s"].to_pylist() == texts
    assert table["b"].to_pylist() == data
    assert [len(chunk) for chunk in table["i"].chunks] == [1, 1, 1, 1, 2]
