"""Loading SQLite tables: every value as it was, in one transaction, and no trace of one that failed."""

from __future__ import annotations

import os
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pyarrow as pa
import pytest

import penstock
from penstock import connectors
from penstock.connectors._batches import Batches
from penstock.connectors.sqlite import _filling, _sink
from penstock.core.cancel import sleep
from penstock.errors import AlreadyExists, ConfigurationError, SinkError, SourceError
from penstock.flow.contracts import BatchStream, Receipt, TableSink, TypedTableSink
from tests.connectors.parts import (
    Cancellable,
    Fails,
    cancelled_at_once,
    open_descriptors,
    read_table,
    sink_of,
    source_of,
)

BATCH = pa.RecordBatch.from_pydict({"a": [1, 2], "b": ["x", None]})


@pytest.fixture(params=["by Arrow", "by rows"], autouse=True)
def filled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With the driver that is an extra, and without it."""
    way: str = request.param
    if way == "by rows":
        monkeypatch.setattr(_filling, "_drivers", lambda: None)
    else:
        assert _filling._drivers() is not None
    return way


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'data.db'}"


def table_sink(uri: str, **options: Any) -> TableSink:
    return cast(TableSink, sink_of(uri, format_name="", media_type="", **{"table": "t", **options}))


def stream(*batches: pa.RecordBatch | BaseException, schema: pa.Schema | None = None) -> BatchStream:
    """Batches; one that is an exception is raised."""

    def each() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if isinstance(batch, BaseException):
                raise batch
            yield batch

    first = next((batch for batch in batches if isinstance(batch, pa.RecordBatch)), None)
    return Batches(first.schema if schema is None else schema, each())  # type: ignore[union-attr]


def load(uri: str, *batches: pa.RecordBatch | BaseException, **options: Any) -> Receipt:
    sink = table_sink(uri, **options)
    assert sink.check()
    return sink.load(stream(*batches))


def run(uri: str, *statements: str) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as connection:
        for statement in statements:
            rows = connection.execute(statement).fetchall()
        connection.commit()
    return rows


def folder(uri: str) -> list[str]:
    return sorted(entry.name for entry in Path(uri.removeprefix("sqlite:///")).parent.iterdir())


def loaded(uri: str, column: pa.Array) -> tuple[str, list[Any]]:
    """What a column becomes: its declared type, and the values with their types in SQLite."""
    load(uri, pa.RecordBatch.from_arrays([column], names=["v"]), if_exists="overwrite")
    declared = run(uri, "PRAGMA table_info(t)")[0][2]
    return declared, run(uri, "SELECT v, typeof(v) FROM t")


def test_a_new_file_holds_the_table_and_nothing_else_is_left(uri: str) -> None:
    """The receipt says what was loaded; no journal, no temporary file remains."""
    receipt = load(uri, BATCH, BATCH)
    assert run(uri, "SELECT * FROM t") == [(1, "x"), (2, None)] * 2
    assert receipt == Receipt(f"{uri} t", 2 * BATCH.nbytes, {"rows": 4, "table": "t"})
    assert folder(uri) == ["data.db"]


def test_the_plan_says_how_rows_get_in(uri: str, filled: str) -> None:
    """By Arrow or row by row, into a new file or one that is there."""
    way = {
        "by Arrow": "Arrow batches",
        "by rows": "rows, 1,000 at a time (pip install 'penstock[sqlite]' for Arrow batches)",
    }
    sink = cast(TypedTableSink, table_sink(uri))
    assert sink.loading == f"{way[filled]}, into a new file"
    run(uri, "CREATE TABLE other (a)")
    assert sink.loading == f"{way[filled]}, into a file beside the database, then moved in one transaction"


def test_sqlite_is_a_place_for_tables(uri: str) -> None:
    """The caller learns from the module that it takes rows."""
    assert connectors.takes_tables(uri)
    assert isinstance(table_sink(uri), TableSink)


@pytest.mark.parametrize(
    ("column", "declared", "values"),
    [
        (pa.array([True, False]), "BOOLEAN", [(1, "integer"), (0, "integer")]),
        (pa.array([-(2**63), 2**63 - 1]), "INTEGER", [(-(2**63), "integer"), (2**63 - 1, "integer")]),
        (pa.array([255], pa.uint8()), "INTEGER", [(255, "integer")]),
        (pa.array([2**63 - 1], pa.uint64()), "INTEGER", [(2**63 - 1, "integer")]),
        (pa.array([0.1, float("inf"), 5e-324]), "REAL", [(0.1, "real"), (float("inf"), "real"), (5e-324, "real")]),
        (pa.array([1.5], pa.float16()), "REAL", [(1.5, "real")]),
        (pa.array([Decimal("1.50"), Decimal("-0.05")]), "TEXT", [("1.50", "text"), ("-0.05", "text")]),
        (pa.array([Decimal("1E-10")], pa.decimal128(20, 10)), "TEXT", [("0.0000000001", "text")]),
        (
            pa.array([Decimal("-12.5"), Decimal(0), Decimal("1E-8")], pa.decimal128(20, 8)),
            "TEXT",
            [("-12.50000000", "text"), ("0.00000000", "text"), ("0.00000001", "text")],
        ),
        (pa.array([Decimal(-5000)], pa.decimal128(10, -3)), "TEXT", [("-5000", "text")]),
        (pa.array([Decimal(10**60)], pa.decimal256(70, 2)), "TEXT", [(f"{10**60}.00", "text")]),
        (pa.array(["", "a\0b\n'\"", "\u2028"]), "TEXT", [("", "text"), ("a\0b\n'\"", "text"), ("\u2028", "text")]),
        (pa.array(["x"], pa.large_string()), "TEXT", [("x", "text")]),
        (pa.array([b"", b"\0\xff"]), "BLOB", [(b"", "blob"), (b"\0\xff", "blob")]),
        (pa.array([b"ab"], pa.binary(2)), "BLOB", [(b"ab", "blob")]),
        (pa.array([date(2024, 2, 29), date(1, 1, 1)]), "TEXT", [("2024-02-29", "text"), ("0001-01-01", "text")]),
        (pa.array([time(1, 2, 3, 4)]), "TEXT", [("01:02:03.000004", "text")]),
        (
            pa.array([datetime(2024, 5, 6, 7, 8, 9, 10, UTC).replace(tzinfo=None)]),
            "TEXT",
            [("2024-05-06 07:08:09.000010", "text")],
        ),
        (
            pa.array([datetime(2024, 5, 6, tzinfo=UTC)], pa.timestamp("us", "Asia/Kathmandu")),
            "TEXT",
            [("2024-05-06 00:00:00.000000Z", "text")],
        ),
        (pa.array([1], pa.timestamp("ns")), "TEXT", [("1970-01-01 00:00:00.000000001", "text")]),
        (pa.array([timedelta(seconds=1)], pa.duration("ms")), "INTEGER", [(1000, "integer")]),
        (pa.array([[1, None], []]), "TEXT", [("[1,null]", "text"), ("[]", "text")]),
        (pa.array([{"a": "ü\n"}]), "TEXT", [('{"a":"ü\\n"}', "text")]),
        (pa.array(["x", "y"]).dictionary_encode(), "TEXT", [("x", "text"), ("y", "text")]),
        (pa.nulls(1), "TEXT", [(None, "null")]),
        (
            pa.ExtensionArray.from_storage(pa.uuid(), pa.array([UUID(int=1).bytes], pa.binary(16))),
            "TEXT",
            [("00000000-0000-0000-0000-000000000001", "text")],
        ),
        (pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": 1}'])), "TEXT", [('{"a": 1}', "text")]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_every_type_has_an_exact_form(uri: str, column: pa.Array, declared: str, values: list[Any]) -> None:
    """Nothing is rounded, cut or converted by SQLite on its own; NULL stays NULL."""
    with_null = pa.concat_arrays([column, pa.nulls(1, column.type)])
    assert loaded(uri, with_null) == (declared, [*values, (None, "null")])


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (pa.array([1, 2**63], pa.uint64()), "column 'v' can not be loaded: Integer value 9223372036854775808"),
        (pa.array([1.5, float("nan")]), "column 'v' can not be loaded: SQLite takes NaN for NULL"),
        (pa.array([pa.MonthDayNano([1, 2, 3])]), "which SQLite can not hold"),
        (pa.array([[b"x"]]), "holds bytes inside"),
    ],
)
def test_what_has_no_form_is_an_error_and_leaves_nothing(uri: str, column: pa.Array, said: str) -> None:
    """It names the column and what to do; no file appears."""
    with pytest.raises(SinkError) as caught:
        load(uri, pa.RecordBatch.from_arrays([column], names=["v"]))
    assert said in str(caught.value)
    assert "convert it" in str(caught.value)
    assert folder(uri) == []


def test_no_rows_make_an_empty_table_of_two_thousand_columns(uri: str) -> None:
    """Zero rows is not zero columns; 2,000 is as many as SQLite takes."""
    schema = pa.schema([(f"c{index}", pa.int64()) for index in range(2000)])
    table_sink(uri).load(stream(schema=schema))
    table = read_table(source_of(uri, table="t"))
    assert (table.num_rows, table.num_columns) == (0, 2000)
    wider = pa.schema([(f"c{index}", pa.int64()) for index in range(2001)])
    with pytest.raises(SinkError, match="too many columns"):
        table_sink(uri, table="wider").load(stream(schema=wider))
    with pytest.raises(SinkError, match="there are no columns"):
        table_sink(uri, table="none").load(stream(schema=pa.schema([])))
    with pytest.raises(SinkError, match="two columns are called 'A'"):
        table_sink(uri, table="twice").load(stream(schema=pa.schema([("a", pa.int8()), ("A", pa.int8())])))


def test_a_value_of_64_mebibytes_goes_in_and_out(uri: str) -> None:
    """It is the largest that is read back; more is an error when it is read, not a surprise."""
    largest = 64 << 20
    load(uri, pa.RecordBatch.from_pydict({"v": [b"x" * largest], "w": ["y" * (40 << 20)]}))
    table = read_table(source_of(uri, table="t"))
    assert [len(table.column(name)[0].as_py()) for name in table.column_names] == [largest, 40 << 20]
    load(uri, pa.RecordBatch.from_pydict({"v": [bytes(65 << 20)]}), if_exists="overwrite")
    with pytest.raises(SourceError, match="larger than 64 MiB"):
        read_table(source_of(uri, table="t"))


def test_if_exists_says_what_happens_to_a_table(uri: str) -> None:
    """Fail, skip, overwrite and append; other tables stay."""
    run(uri, "CREATE TABLE other (z)", "CREATE TABLE t (z TEXT)", "INSERT INTO t VALUES ('old')")
    with pytest.raises(AlreadyExists, match="overwrite, append or skip"):
        table_sink(uri).check()
    assert table_sink(uri, if_exists="skip").check() is False
    load(uri, BATCH, if_exists="overwrite")
    load(uri, BATCH, if_exists="append")
    load(uri, BATCH, table="new", if_exists="append")
    assert run(uri, "SELECT * FROM t") == [(1, "x"), (2, None)] * 2
    assert run(uri, "SELECT count(*) FROM new") == [(2,)]
    assert run(uri, "SELECT count(*) FROM other") == [(0,)]


def test_columns_are_appended_by_name(uri: str) -> None:
    """Upper and lower case are one, order does not matter, what is missing has its default."""
    run(uri, "CREATE TABLE t (c TEXT DEFAULT 'd', B TEXT, A INTEGER)")
    load(uri, BATCH, if_exists="append")
    assert run(uri, "SELECT * FROM t") == [("d", "x", 1), ("d", None, 2)]


@pytest.mark.parametrize(
    ("declared", "column", "said"),
    [
        ("z INTEGER", pa.array([1]), "the table has no column 'v' (it has z)"),
        ("v INTEGER", pa.array(["01"]), "column 'v' can not be loaded: '01' would be another in the table's INTEGER"),
        ("v TEXT", pa.array([1.5]), "where SQLite would bend REAL"),
        ("v INTEGER, w NOT NULL", pa.array([1]), "NOT NULL constraint failed: t.w"),
        ("v INTEGER UNIQUE", pa.array([1, 1]), "UNIQUE constraint failed: t.v"),
    ],
)
def test_what_does_not_fit_the_table_that_is_there_is_an_error(
    uri: str, declared: str, column: pa.Array, said: str
) -> None:
    """SQLite would convert; we say so instead. The table keeps its rows."""
    run(uri, f"CREATE TABLE t ({declared})")
    with pytest.raises(SinkError) as caught:
        load(uri, pa.RecordBatch.from_arrays([column], names=["v"]), if_exists="append")
    assert said in str(caught.value)
    assert run(uri, "SELECT count(*) FROM t") == [(0,)]


@pytest.mark.parametrize("if_exists", ["overwrite", "append"])
def test_a_failing_source_leaves_the_database_as_it_was(uri: str, if_exists: str) -> None:
    """The source's own exception arrives; the old rows are all there, and nothing beside the file."""
    run(uri, "CREATE TABLE t (a INTEGER, b TEXT)", "INSERT INTO t VALUES (7, 'old')")
    before = open_descriptors()
    failure = Fails()
    with pytest.raises(Fails) as caught:
        load(uri, BATCH, failure, if_exists=if_exists)
    assert caught.value is failure
    assert run(uri, "SELECT * FROM t") == [(7, "old")]
    assert folder(uri) == ["data.db"]
    assert open_descriptors() == before


def test_a_failing_source_leaves_no_new_file(uri: str) -> None:
    """Neither under its own name nor under another."""
    with pytest.raises(Fails):
        load(uri, BATCH, Fails())
    assert folder(uri) == []


def test_readers_see_the_old_table_until_the_new_one_is_whole(uri: str) -> None:
    """Overwriting is one transaction: nobody sees it empty, missing or half."""
    run(uri, "PRAGMA journal_mode = WAL", "CREATE TABLE t (a INTEGER, b TEXT)", "INSERT INTO t VALUES (7, 'old')")
    seen = []

    def batches() -> Iterator[pa.RecordBatch]:
        for _ in range(3):
            yield BATCH
            seen.append(run(uri, "SELECT * FROM t"))

    table_sink(uri, if_exists="overwrite").load(Batches(BATCH.schema, batches()))
    assert seen == [[(7, "old")]] * 3
    assert run(uri, "SELECT count(*) FROM t") == [(6,)]


def test_a_file_that_appears_meanwhile_is_not_replaced(uri: str) -> None:
    """Whoever was first, stays."""

    def batches() -> Iterator[pa.RecordBatch]:
        yield BATCH
        run(uri, "CREATE TABLE theirs (a)")

    sink = table_sink(uri)
    with pytest.raises(AlreadyExists, match="just created it"):
        sink.load(Batches(BATCH.schema, batches()))
    assert run(uri, "SELECT name FROM sqlite_master") == [("theirs",)]
    assert folder(uri) == ["data.db"]


def test_a_table_that_appears_meanwhile_is_not_replaced(uri: str) -> None:
    """Between check and load, another may have made it."""
    run(uri, "CREATE TABLE other (a)")
    sink = table_sink(uri)
    assert sink.check()
    run(uri, "CREATE TABLE t (a)")
    with pytest.raises(AlreadyExists):
        sink.load(stream(BATCH))


def test_others_may_write_while_the_source_is_read(uri: str) -> None:
    """The lock is taken when all rows are here; what others wrote meanwhile stays."""
    run(uri, "CREATE TABLE t (a INTEGER, b TEXT)", "CREATE TABLE other (a)")

    def batches() -> Iterator[pa.RecordBatch]:
        yield BATCH
        run(uri, "INSERT INTO other VALUES (1)", "INSERT INTO t VALUES (7, 'theirs')")
        yield BATCH

    table_sink(uri, if_exists="append").load(Batches(BATCH.schema, batches()))
    assert run(uri, "SELECT * FROM t") == [(7, "theirs"), *[(1, "x"), (2, None)] * 2]
    assert run(uri, "SELECT count(*) FROM other") == [(1,)]


def test_rows_that_wait_are_for_nobody_else_to_read(uri: str) -> None:
    """The database may be a secret, and so may what is put beside it."""
    run(uri, "CREATE TABLE t (a INTEGER, b TEXT)")
    seen = []

    def batches() -> Iterator[pa.RecordBatch]:
        yield BATCH
        beside = Path(uri.removeprefix("sqlite:///")).parent.glob(".data.db.*")
        seen.extend(entry.stat().st_mode & 0o777 for entry in beside)

    table_sink(uri, if_exists="append").load(Batches(BATCH.schema, batches()))
    assert seen == [0o600]


@pytest.mark.parametrize("if_exists", ["fail", "append", "overwrite"])
def test_a_table_may_be_called_as_the_one_beside_it(uri: str, if_exists: str) -> None:
    """Both are attached at the same time; the database's own is meant."""
    run(uri, "CREATE TABLE other (z)")
    if if_exists != "fail":
        run(uri, "CREATE TABLE rows (b TEXT, a REAL)", "INSERT INTO rows VALUES ('old', 0)")
    load(uri, BATCH, table="rows", if_exists=if_exists)
    rows: list[tuple[Any, ...]] = [(1, "x"), (2, None)]
    assert run(uri, "SELECT a, b FROM rows") == ([(0, "old"), *rows] if if_exists == "append" else rows)


@pytest.mark.parametrize(
    "statement",
    ["ALTER TABLE t ADD COLUMN c INTEGER", "DROP TABLE t", "ALTER TABLE t RENAME TO u"],
)
def test_a_table_that_changes_meanwhile_is_not_appended_to(uri: str, statement: str) -> None:
    """The values were checked against the columns that it had."""
    run(uri, "CREATE TABLE t (a INTEGER, b TEXT)")

    def batches() -> Iterator[pa.RecordBatch]:
        yield BATCH
        run(uri, statement)

    with pytest.raises(SinkError, match="changed while rows for it were read") as caught:
        table_sink(uri, if_exists="append").load(Batches(BATCH.schema, batches()))
    assert caught.value.transient
    assert folder(uri) == ["data.db"]


@pytest.mark.parametrize(
    ("theirs", "is_joined"),
    [("a INTEGER, b TEXT", True), ("b TEXT, A INTEGER", True), ("a TEXT, b TEXT", False), ("a INTEGER", False)],
)
def test_of_two_first_appends_the_second_joins_the_first(uri: str, theirs: str, is_joined: bool) -> None:
    """If the table that it would have created is there by then; another one is an error."""
    run(uri, "CREATE TABLE other (z)")

    def batches() -> Iterator[pa.RecordBatch]:
        yield BATCH
        run(uri, f"CREATE TABLE t ({theirs})", "INSERT INTO t (a) VALUES (7)")

    if is_joined:
        table_sink(uri, if_exists="append").load(Batches(BATCH.schema, batches()))
        assert run(uri, "SELECT a, b FROM t") == [(7, None), (1, "x"), (2, None)]
    else:
        with pytest.raises(SinkError, match="changed while rows for it were read"):
            table_sink(uri, if_exists="append").load(Batches(BATCH.schema, batches()))
        assert len(run(uri, "SELECT * FROM t")) == 1


def test_a_long_transaction_is_no_stall(uri: str) -> None:
    """Nothing is taken while rows are moved into the table, but they move."""
    run(
        uri,
        "CREATE TABLE t (a INTEGER)",
        "CREATE TRIGGER slow AFTER INSERT ON t BEGIN SELECT count(*) FROM (WITH RECURSIVE r(i) AS "
        "(SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 300) SELECT 1 FROM r, r AS s WHERE r.i <> s.i); END",
    )
    rows = ({"a": number} for number in range(600))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_sink, "_ROWS_AT_ONCE", 10)
        report = penstock.copy(rows, uri, to_table="t", if_exists="append", stall_timeout=1.0)
    assert report.seconds > 1
    assert run(uri, "SELECT count(*) FROM t") == [(600,)]


def test_the_one_schema_is_main(uri: str) -> None:
    """In any other, what is loaded would be gone when the connection is closed."""
    load(uri, BATCH, table="main.t")
    load(uri, BATCH, table="MAIN.t", if_exists="append")
    assert run(uri, "SELECT count(*) FROM t") == [(4,)]
    with pytest.raises(ConfigurationError, match="no schema 'temp'"):
        table_sink(uri, table="temp.t")


def test_a_cancel_while_the_source_is_silent_rolls_back(uri: str) -> None:
    """The wait is the stream's; the transaction is ours."""
    run(uri, "CREATE TABLE t (a INTEGER, b TEXT)")

    def batches() -> Iterator[pa.RecordBatch]:
        yield BATCH
        sleep(3600)

    call = Cancellable(lambda: table_sink(uri, if_exists="append").load(Batches(BATCH.schema, batches())))
    call.wait_still()
    assert call.cancel() < 0.5
    assert run(uri, "SELECT count(*) FROM t") == [(0,)]


def test_a_cancel_ends_the_wait_for_another_writer(uri: str) -> None:
    """SQLite's own waiting for a lock hears no cancel; ours does."""
    run(uri, "CREATE TABLE t (a INTEGER, b TEXT)")
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"), isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        call = Cancellable(lambda: table_sink(uri, if_exists="append").load(stream(BATCH)))
        call.wait_still()
        assert call.cancel() < 0.5


def test_a_cancel_stops_the_loading_of_a_large_batch(uri: str) -> None:
    """A batch is loaded in pieces; a scope cancelled already loads none."""
    large = pa.RecordBatch.from_pydict({"a": range(1_000_000)})
    call = Cancellable(lambda: table_sink(uri).load(stream(large)))
    while not folder(uri):
        assert not call.running.done
    assert call.cancel() < 0.5
    assert folder(uri) == []
    run(uri, "CREATE TABLE other (z)")
    call = Cancellable(lambda: table_sink(uri).load(stream(large)))
    while len(folder(uri)) < 2:
        assert not call.running.done
    assert call.cancel() < 0.5
    assert folder(uri) == ["data.db"]
    Path(uri.removeprefix("sqlite:///")).unlink()
    cancelled_at_once(lambda: table_sink(uri).load(stream(BATCH)))
    assert folder(uri) == []


def test_a_lock_is_an_error_in_time(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named as worth another try."""
    monkeypatch.setattr("penstock.connectors.sqlite._connection.BUSY_SECONDS", 0.1)
    run(uri, "CREATE TABLE t (a INTEGER, b TEXT)")
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"), isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SinkError, match=r"database is locked \(another process is using") as caught:
            table_sink(uri, if_exists="append").load(stream(BATCH))
    assert caught.value.transient


def test_places_that_can_not_be_written_are_named_before_anything_is_read(tmp_path: Path) -> None:
    """No folder, no database; no options that do not exist."""
    with pytest.raises(SinkError, match="there is no folder"):
        table_sink(f"sqlite:///{tmp_path}/none/data.db").check()
    (tmp_path / "text.db").write_text("hello, I am no database at all\n" * 100)
    with pytest.raises(SinkError, match="file is not a database"):
        table_sink(f"sqlite:///{tmp_path}/text.db").check()
    with pytest.raises(ConfigurationError, match="unknown option 'x'"):
        table_sink("sqlite:///data.db", options={"x": 1})
    with pytest.raises(ConfigurationError, match="say which table"):
        table_sink("sqlite:///data.db", table=None)


def test_a_view_is_not_overwritten(uri: str) -> None:
    """SQLite refuses to drop it as a table, and so do we."""
    run(uri, "CREATE VIEW t AS SELECT 1 AS a")
    with pytest.raises(SinkError, match="use DROP VIEW"):
        load(uri, BATCH, if_exists="overwrite")
    assert run(uri, "SELECT * FROM t") == [(1,)]


def test_tables_and_columns_may_have_any_name(uri: str) -> None:
    """Quotes and spaces are no syntax."""
    batch = pa.RecordBatch.from_pydict({'a "b': [1], "select": [2]})
    load(uri, batch, table='odd "name')
    assert read_table(source_of(uri, table='odd "name')).to_pylist() == [{'a "b': 1, "select": 2}]


@contextmanager
def no_file_larger_than(size_bytes: int) -> Iterator[None]:
    """As a full disk would, the kernel refuses to write more."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("is_there", [False, True], ids=["a new file", "one that is there"])
def test_a_disk_that_takes_no_more_leaves_everything_as_it_was(uri: str, is_there: bool) -> None:
    """No new file, or the old tables in it, and nothing beside it."""
    if is_there:
        run(uri, "CREATE TABLE old (a INTEGER)")
    large = pa.RecordBatch.from_pydict({"a": [os.urandom(1000) for _ in range(30_000)]})
    with no_file_larger_than(10 << 20), pytest.raises(SinkError) as caught:
        load(uri, large)
    assert caught.value.where == f"{uri} t"
    assert folder(uri) == (["data.db"] if is_there else [])
    assert not is_there or run(uri, "SELECT name FROM sqlite_master") == [("old",)]


def test_an_index_with_an_unknown_collation_says_what_is_in_the_way(uri: str) -> None:
    """SQLite cannot keep it without the program that made it; the table stays as it was."""
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as connection:
        connection.create_collation("mine", lambda left, right: (left > right) - (left < right))
        connection.execute("CREATE TABLE t (a TEXT COLLATE mine PRIMARY KEY)")
        connection.commit()
    with pytest.raises(SinkError, match=r"collation sequence: mine \(only the program .* an index of the table needs"):
        penstock.copy([{"a": "x"}, {"a": "y"}], uri, to_table="t", if_exists="append")
    assert read_table(source_of(uri, table="t")).num_rows == 0
