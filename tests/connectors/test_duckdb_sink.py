"""Loading DuckDB tables: every value as it was, in one transaction, and no trace of one that failed."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pyarrow as pa
import pytest

from penstock import api, connectors
from penstock.connectors._batches import Batches
from penstock.connectors.duckdb import _inserting
from penstock.connectors.duckdb._cache import BlockCache
from penstock.connectors.duckdb._connection import Database, Settings
from penstock.connectors.duckdb._inserting import Incoming, Inserter, row_group_rows
from penstock.core.cancel import sleep
from penstock.errors import AlreadyExists, ConfigurationError, SinkError
from penstock.flow.contracts import BatchStream, Receipt, TableSink
from tests.connectors.parts import (
    Cancellable,
    Fails,
    cancelled_at_once,
    open_descriptors,
    read_table,
    sink_of,
    source_of,
)

duckdb = pytest.importorskip("duckdb")

BATCH = pa.RecordBatch.from_pydict({"a": [1, 2], "b": ["x", None]})


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"duckdb:///{tmp_path / 'data.db'}"


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where DuckDB spills to; every test leaves it empty."""
    folder = tmp_path_factory.mktemp("spilled")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield
    assert list(folder.iterdir()) == []


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
    with closing(duckdb.connect(uri.removeprefix("duckdb:///"))) as connection:
        for statement in statements:
            rows = connection.execute(statement).fetchall()
    return rows


def folder(uri: str) -> list[str]:
    return sorted(entry.name for entry in Path(uri.removeprefix("duckdb:///")).parent.iterdir())


def test_a_new_file_holds_the_table_and_nothing_else_is_left(uri: str) -> None:
    """The receipt says what was loaded; no log, no temporary file remains."""
    receipt = load(uri, BATCH, BATCH)
    assert receipt == Receipt(f"{uri} t", 2 * BATCH.nbytes, {"rows": 4, "table": "t"})
    assert folder(uri) == ["data.db"]
    assert run(uri, "SELECT * FROM t") == [(1, "x"), (2, None)] * 2


def test_duckdb_is_a_place_for_tables(uri: str) -> None:
    """The caller learns from the module that it takes rows."""
    assert connectors.takes_tables(uri)
    assert isinstance(table_sink(uri), TableSink)


def extension(kind: pa.DataType, storage: pa.Array) -> pa.Array:
    return pa.ExtensionArray.from_storage(kind, storage)


COLUMNS: list[tuple[pa.Array, str, str]] = [
    (pa.array([True]), "BOOLEAN", "true"),
    (pa.array([-128], pa.int8()), "TINYINT", "-128"),
    (pa.array([-(2**63)]), "BIGINT", str(-(2**63))),
    (pa.array([2**64 - 1], pa.uint64()), "UBIGINT", str(2**64 - 1)),
    (pa.array([1.5], pa.float16()), "FLOAT", "1.5"),
    (pa.array([5e-324]), "DOUBLE", "5e-324"),
    (pa.array([float("nan")]), "DOUBLE", "nan"),
    (pa.array([Decimal("-1.50")], pa.decimal128(38, 10)), "DECIMAL(38,10)", "-1.5000000000"),
    (pa.array([Decimal("1.5")], pa.decimal256(30, 2)), "DECIMAL(30,2)", "1.50"),
    (pa.array([Decimal(10**60)], pa.decimal256(70, 2)), "VARCHAR", f"{10**60}.00"),
    (pa.array([Decimal(1500)], pa.decimal128(5, -2)), "DECIMAL(7,0)", "1500"),
    (pa.array(["a\0b\n'\""]), "VARCHAR", "a\0b\n'\""),
    (pa.array(["x"], pa.string_view()), "VARCHAR", "x"),
    (pa.array([b"\0\xff"]), "BLOB", r"\x00\xFF"),
    (pa.array([b"ab"], pa.binary(2)), "BLOB", "ab"),
    (pa.array([date(1, 1, 1)]), "DATE", "0001-01-01"),
    (pa.array([date(2024, 2, 29)], pa.date64()), "DATE", "2024-02-29"),
    (pa.array([time(1, 2, 3, 4)]), "TIME", "01:02:03.000004"),
    (pa.array([1], pa.time64("ns")), "TIME_NS", "00:00:00.000000001"),
    (pa.array([1], pa.timestamp("s")), "TIMESTAMP_S", "1970-01-01 00:00:01"),
    (pa.array([1], pa.timestamp("ms")), "TIMESTAMP_MS", "1970-01-01 00:00:00.001"),
    (pa.array([1], pa.timestamp("us")), "TIMESTAMP", "1970-01-01 00:00:00.000001"),
    (pa.array([1], pa.timestamp("ns")), "TIMESTAMP_NS", "1970-01-01 00:00:00.000000001"),
    (pa.array([datetime(2024, 5, 6, tzinfo=UTC)]), "TIMESTAMP WITH TIME ZONE", "2024-05-06 00:00:00+00"),
    (pa.array([1], pa.timestamp("s", "Asia/Kathmandu")), "TIMESTAMP WITH TIME ZONE", "1970-01-01 00:00:01+00"),
    (pa.array([1], pa.timestamp("ns", "UTC")), "TIMESTAMPTZ_NS", "1970-01-01 00:00:00.000000001+00"),
    (pa.array([timedelta(seconds=1)], pa.duration("ns")), "INTERVAL", "00:00:01"),
    (pa.array([pa.MonthDayNano([1, 2, 3000])]), "INTERVAL", "1 month 2 days 00:00:00.000003"),
    (pa.array([[1, None]]), "BIGINT[]", "[1, NULL]"),
    (pa.array([[1.5]], pa.list_(pa.float16(), 1)), "FLOAT[]", "[1.5]"),
    (pa.array([{'a "': [b"x"]}]), 'STRUCT("a """ BLOB[])', "{'a \"': [x]}"),
    (pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int8())), "MAP(VARCHAR, TINYINT)", "{k=1}"),
    (pa.array(["x"]).dictionary_encode(), "VARCHAR", "x"),
    (pa.RunEndEncodedArray.from_arrays([1], ["x"]), "VARCHAR", "x"),
    (pa.nulls(1), "VARCHAR", None),
    (extension(pa.uuid(), pa.array([UUID(int=1).bytes], pa.binary(16))), "UUID", str(UUID(int=1))),
    (extension(pa.json_(), pa.array(['{"a": 1}'])), "JSON", '{"a": 1}'),
    (extension(pa.bool8(), pa.array([1], pa.int8())), "BOOLEAN", "true"),
    (extension(pa.opaque(pa.string(), "x", "y"), pa.array(["q"])), "VARCHAR", "q"),
]


@pytest.mark.parametrize(
    ("column", "declared", "text"), COLUMNS, ids=[str(column.type)[:40] for column, _, _ in COLUMNS]
)
def test_every_type_has_an_exact_column(uri: str, column: pa.Array, declared: str, text: str | None) -> None:
    """Nothing is rounded, cut or shifted; NULL stays NULL."""
    load(uri, pa.RecordBatch.from_arrays([column], names=["v"]))
    assert run(uri, "SELECT data_type FROM duckdb_columns() WHERE column_name = 'v'") == [(declared,)]
    assert run(uri, "SET TimeZone = 'UTC'", "SELECT v::VARCHAR FROM t") == [(text,)]


def test_nulls_stay_null(uri: str) -> None:
    """In every type."""
    columns = [pa.nulls(2, column.type) for column, _, _ in COLUMNS if not pa.types.is_run_end_encoded(column.type)]
    load(uri, pa.RecordBatch.from_arrays(columns, names=[f"c{index}" for index in range(len(columns))]))
    assert run(uri, "SELECT * FROM t") == [(None,) * len(columns)] * 2


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (pa.array([1], pa.duration("ns")), "column 'v' can not be loaded"),
        (pa.array([pa.MonthDayNano([0, 0, 1000]), None, pa.MonthDayNano([1, 2, 3])]), "an interval with nanoseconds"),
        (pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])]), "which DuckDB can not hold"),
        (pa.array([{}], pa.struct([])), "which DuckDB can not hold"),
    ],
)
def test_what_has_no_form_is_an_error_and_leaves_nothing(uri: str, column: pa.Array, said: str) -> None:
    """It names the column; no file appears."""
    with pytest.raises(SinkError, match=said):
        load(uri, pa.RecordBatch.from_arrays([column], names=["v"]))
    assert folder(uri) == []


def test_no_rows_make_an_empty_table_of_two_thousand_columns(uri: str) -> None:
    """Zero rows is not zero columns."""
    table_sink(uri).load(stream(schema=pa.schema([(f"c{index}", pa.int64()) for index in range(2000)])))
    table = read_table(source_of(uri, table="t"))
    assert (table.num_rows, table.num_columns) == (0, 2000)
    with pytest.raises(SinkError, match="there are no columns"):
        table_sink(uri, table="none").load(stream(schema=pa.schema([])))
    with pytest.raises(SinkError, match="two columns are called 'A'"):
        table_sink(uri, table="twice").load(stream(schema=pa.schema([("a", pa.int8()), ("A", pa.int8())])))


def test_a_value_of_64_mebibytes_goes_in_and_out(uri: str) -> None:
    """Whole."""
    load(uri, pa.RecordBatch.from_pydict({"v": ["x" * (64 << 20)]}))
    assert run(uri, "SELECT length(v) FROM t") == [(64 << 20,)]
    assert read_table(source_of(uri, table="t")).column(0).nbytes >= 64 << 20


def test_if_exists_says_what_happens_to_a_table(uri: str) -> None:
    """Fail, skip, overwrite and append, whatever the case of its name; other tables stay."""
    run(uri, "CREATE TABLE other (z INT)", "CREATE TABLE T (z TEXT)", "INSERT INTO T VALUES ('old')")
    with pytest.raises(AlreadyExists, match="overwrite, append or skip"):
        table_sink(uri).check()
    assert table_sink(uri, if_exists="skip").check() is False
    load(uri, BATCH, if_exists="overwrite")
    load(uri, BATCH, if_exists="append")
    load(uri, BATCH, table="new", if_exists="append")
    load(uri, BATCH, table="main.schema", if_exists="fail")
    assert run(uri, "SELECT * FROM t") == [(1, "x"), (2, None)] * 2
    assert run(uri, "SELECT count(*) FROM new") == [(2,)]
    assert run(uri, "SELECT count(*) FROM other") == [(0,)]
    with pytest.raises(AlreadyExists):
        table_sink(uri, table="main.schema").check()


@pytest.mark.parametrize(
    "column",
    [
        pa.array([{"a": 1, "s p": "x", "select": None}]),
        pa.array([[{"a": 1}]]),
        pa.array([[("k", {"a": 1})]], pa.map_(pa.string(), pa.struct({"a": pa.int64()}))),
    ],
)
def test_nested_columns_are_appended_to_the_table_they_made(uri: str, column: pa.Array) -> None:
    """DESCRIBE quotes the names inside only where it must, and that makes no other type of it."""
    batch = pa.RecordBatch.from_arrays([column], names=["v"])
    load(uri, batch)
    load(uri, batch, if_exists="append")
    other = pa.RecordBatch.from_arrays([pa.array([{"b": 1}])], names=["v"])
    with pytest.raises(SinkError, match="is to be loaded into it"):
        load(uri, other, if_exists="append")


def test_columns_are_appended_by_name(uri: str) -> None:
    """Upper and lower case are one, order does not matter, what is missing has its default."""
    run(uri, "CREATE TABLE t (c TEXT DEFAULT 'd', B TEXT, A HUGEINT)")
    load(uri, BATCH, if_exists="append")
    assert run(uri, "SELECT * FROM t") == [("d", "x", 1), ("d", None, 2)]


@pytest.mark.parametrize(
    ("declared", "column", "said"),
    [
        ("z INTEGER", pa.array([1]), "the table has no column 'v' (it has z)"),
        ("v INTEGER", pa.array([b"1"]), "column 'v' is INTEGER in the table, and BLOB is to be loaded"),
        ("v INTEGER", pa.array([1, 2**31]), "column 'v' is INTEGER in the table, which does not keep '2147483648'"),
        ("v BIGINT, w INT NOT NULL", pa.array([1]), "NOT NULL constraint failed: t.w"),
        ("v BIGINT PRIMARY KEY", pa.array([1, 1]), "uplicate key"),
    ],
)
def test_what_does_not_fit_the_table_that_is_there_is_an_error(
    uri: str, declared: str, column: pa.Array, said: str
) -> None:
    """DuckDB would round or cut; we say so instead. The table keeps its rows. Values: test_duckdb_fit.py."""
    run(uri, f"CREATE TABLE t ({declared})")
    with pytest.raises(SinkError) as caught:
        load(uri, pa.RecordBatch.from_arrays([column], names=["v"]), if_exists="append")
    assert said in str(caught.value)
    assert run(uri, "SELECT count(*) FROM t") == [(0,)]


@pytest.mark.parametrize(
    ("declared", "column"),
    [
        ("HUGEINT", pa.array([2**64 - 1], pa.uint64())),
        ("SMALLINT", pa.array([255], pa.uint8())),
        ("DOUBLE", pa.array([1.5], pa.float32())),
        ("DECIMAL(38, 4)", pa.array([Decimal("1.10")])),
        ("TIMESTAMP", pa.array([1], pa.timestamp("s"))),
        ("TIMESTAMP", pa.array([date(2024, 1, 1)])),
        ("ENUM('a')", pa.array(["a"])),
        ("UUID", pa.array([str(UUID(int=1))])),
        ("JSON", pa.array(["{}"])),
    ],
)
def test_what_fits_a_wider_column_is_appended(uri: str, declared: str, column: pa.Array) -> None:
    """Where nothing can be lost, types need not be the same."""
    run(uri, f"CREATE TABLE t (v {declared})")
    load(uri, pa.RecordBatch.from_arrays([column], names=["v"]), if_exists="append")
    assert run(uri, "SELECT count(v) FROM t") == [(1,)]


@pytest.mark.parametrize("if_exists", ["overwrite", "append"])
def test_a_failing_source_leaves_the_database_as_it_was(uri: str, if_exists: str) -> None:
    """The source's own exception arrives; the old rows are all there, and nothing beside the file."""
    run(uri, "CREATE TABLE t (a BIGINT, b TEXT)", "INSERT INTO t VALUES (7, 'old')")
    before = open_descriptors()
    failure = Fails()
    large = pa.RecordBatch.from_pydict({"a": range(300_000), "b": ["y"] * 300_000})
    with pytest.raises(Fails) as caught:
        load(uri, large, failure, if_exists=if_exists)
    assert caught.value is failure
    assert folder(uri) == ["data.db"]
    assert open_descriptors() == before
    assert run(uri, "SELECT * FROM t") == [(7, "old")]


def test_a_failing_source_leaves_no_new_file(uri: str) -> None:
    """Neither under its own name nor under another, nor a log."""
    with pytest.raises(Fails):
        load(uri, BATCH, Fails())
    assert folder(uri) == []


def test_a_copy_from_duckdb_to_duckdb(uri: str, tmp_path: Path) -> None:
    """Types and rows arrive as they were."""
    run(uri, "CREATE TABLE t AS SELECT i, i::DECIMAL(20, 3) AS d, DATE '2024-01-01' AS e FROM range(10000) AS r(i)")
    other = f"duckdb:///{tmp_path / 'other.db'}"
    api.copy(uri, other, table="t")
    assert read_table(source_of(other, table="t")).equals(read_table(source_of(uri, table="t")))


def test_a_file_that_appears_meanwhile_is_not_replaced(uri: str) -> None:
    """Whoever was first, stays."""

    def batches() -> Iterator[pa.RecordBatch]:
        yield BATCH
        run(uri, "CREATE TABLE theirs (a INT)")

    with pytest.raises(AlreadyExists, match="just created it"):
        table_sink(uri).load(Batches(BATCH.schema, batches()))
    assert run(uri, "SELECT table_name FROM duckdb_tables()") == [("theirs",)]
    assert folder(uri) == ["data.db"]


def test_a_table_that_appears_meanwhile_is_not_replaced(uri: str) -> None:
    """Between check and load, another may have made it."""
    run(uri, "CREATE TABLE other (a INT)")
    sink = table_sink(uri)
    assert sink.check()
    run(uri, "CREATE TABLE t (a INT)")
    with pytest.raises(AlreadyExists):
        sink.load(stream(BATCH))


def test_a_cancel_while_the_source_is_silent_rolls_back(uri: str) -> None:
    """The wait is the stream's; the transaction is ours."""
    run(uri, "CREATE TABLE t (a BIGINT, b TEXT)")

    def batches() -> Iterator[pa.RecordBatch]:
        yield BATCH
        sleep(3600)

    call = Cancellable(lambda: table_sink(uri, if_exists="append").load(Batches(BATCH.schema, batches())))
    call.wait_still()
    assert call.cancel() < 0.5
    assert run(uri, "SELECT count(*) FROM t") == [(0,)]


def test_a_cancel_interrupts_the_loading_of_a_large_batch(uri: str) -> None:
    """Also inside DuckDB; a scope cancelled already loads nothing."""
    large = pa.RecordBatch.from_pydict({"a": pa.array(range(1_000_000)).cast(pa.string())})

    def endless() -> Iterator[pa.RecordBatch]:
        while True:
            yield large

    call = Cancellable(lambda: table_sink(uri).load(Batches(large.schema, endless())))
    while not folder(uri):
        assert not call.running.done
    assert call.cancel() < 1
    assert folder(uri) == []
    cancelled_at_once(lambda: table_sink(uri).load(stream(BATCH)))
    assert folder(uri) == []


def test_a_database_that_is_open_elsewhere_is_said_clearly(uri: str) -> None:
    """Before the source is opened, and as worth another try."""
    run(uri, "CREATE TABLE x (a INT)")
    path = uri.removeprefix("duckdb:///")
    holding = f"import duckdb; connection = duckdb.connect({path!r}); print('open', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", holding], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(SinkError, match="another process has it open") as caught:
            table_sink(uri).check()
        other.communicate(b"\n")
    assert caught.value.transient


def test_places_that_can_not_be_written_are_named_before_anything_is_read(tmp_path: Path) -> None:
    """No folder, no database, none that would be gone; no options that do not exist."""
    with pytest.raises(SinkError, match="there is no folder"):
        table_sink(f"duckdb:///{tmp_path}/none/data.db").check()
    (tmp_path / "text.db").write_text("hello, I am no database at all\n" * 100)
    with pytest.raises(SinkError, match="it is not a DuckDB database"):
        table_sink(f"duckdb:///{tmp_path}/text.db").check()
    with pytest.raises(ConfigurationError, match="gone when the copy ends"):
        table_sink("duckdb:///:memory:")
    with pytest.raises(ConfigurationError, match="unknown option 'x'"):
        table_sink("duckdb:///data.db", options={"x": 1})
    with pytest.raises(ConfigurationError, match="say which table"):
        table_sink("duckdb:///data.db", table=None)


def test_a_view_is_not_overwritten(uri: str) -> None:
    """DuckDB refuses to drop it as a table, and so do we."""
    run(uri, "CREATE VIEW t AS SELECT 1 AS a")
    with pytest.raises(SinkError, match="View"):
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
    assert not is_there or run(uri, "SELECT table_name FROM duckdb_tables()") == [("old",)]


def test_what_has_been_loaded_is_let_go_of(uri: str) -> None:
    """DuckDB keeps no batch until the transaction ends: at the last there is no more Arrow data than at the second."""
    held: list[int] = []

    def batches() -> Iterator[pa.RecordBatch]:
        for start in range(0, 200_000, 10_000):
            held.append(pa.total_allocated_bytes())
            yield pa.RecordBatch.from_pydict(
                {"a": pa.array([f"{number:030}" for number in range(start, start + 10_000)])}
            )

    sink = table_sink(uri)
    assert sink.check()
    schema = pa.schema([("a", pa.string())])
    assert sink.load(Batches(schema, batches())).details["rows"] == 200_000
    one = pa.RecordBatch.from_pydict({"a": ["0" * 30] * 10_000}).nbytes
    assert max(held[2:]) - held[1] < 2 * one


ROW_GROUP = 122_880


def numbers(*sizes: int) -> list[pa.RecordBatch]:
    """Batches of these many rows, numbered."""
    starts = [sum(sizes[:index]) for index in range(len(sizes))]
    return [
        pa.RecordBatch.from_pydict({"a": pa.array(range(start, start + size), pa.int64())})
        for start, size in zip(starts, sizes, strict=True)
    ]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], [0]),
        ([0, 5], [5]),
        ([8], [8, 0]),
        ([0, 7, 0, 3, 0], [8, 2]),
        ([17, 0, 1], [8, 8, 2]),
    ],
)
def test_a_load_is_divided_into_whole_row_groups(sizes: list[int], expected: list[int]) -> None:
    """Whatever the batches, no part has more than four row groups of two rows, and no row is lost or comes twice."""
    schema = pa.schema([(name, pa.int64()) for name in ["a", *map(str, range(40))]])
    batches = [
        pa.RecordBatch.from_arrays([each["a"]] * len(schema), schema=schema) for each in numbers(*sizes)
    ]  # 41 columns: three row groups would be 128
    incoming = Incoming(stream(*batches, schema=schema))
    found: list[list[int]] = []
    while not incoming.ended:
        assert (incoming.next_row_bytes() > 0) == (sum(map(len, found)) < sum(sizes))
        found.append([number for batch in incoming.part(2) for number in batch["a"].to_pylist()])
    assert [len(part) for part in found] == expected
    assert [number for part in found for number in part] == list(range(sum(sizes)))


@pytest.mark.parametrize(("columns", "row_groups"), [(1, 128), (4, 32), (16, 8), (33, 4), (400, 4)])
def test_the_fewer_columns_the_longer_a_part(columns: int, row_groups: int) -> None:
    """What DuckDB keeps is for each column of a row group."""
    schema = pa.schema([(f"c{number}", pa.null()) for number in range(columns)])
    batch = pa.RecordBatch.from_arrays([pa.nulls(1000)] * columns, schema=schema)
    assert sum(each.num_rows for each in Incoming(stream(batch)).part(5)) == row_groups * 5


@pytest.mark.parametrize(
    ("row_bytes", "rows"),
    [(0, ROW_GROUP), (169, ROW_GROUP), (546, ROW_GROUP), (547, ROW_GROUP - 2048), (10_000, 6144), (1 << 20, 2048)],
)
def test_the_wider_the_rows_the_fewer_are_a_row_group(row_bytes: int, rows: int) -> None:
    """It has to fit into memory, and no rows wider than usual make it larger than DuckDB's own."""
    assert row_group_rows(256 << 20, row_bytes) == rows


def test_a_new_file_is_filled_part_by_part(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    """Every row is there once, in order, in whole row groups, and the file is as if it had been filled at once."""
    monkeypatch.setattr(_inserting, "_COLUMNS_OF_A_PART", 1)
    monkeypatch.setattr(_inserting, "_LEAST_ROW_GROUPS", 1)
    receipt = load(uri, *numbers(200_000, 100_000, 3))
    assert receipt.details["rows"] == 300_003
    assert folder(uri) == ["data.db"]
    assert run(uri, "SELECT count(*), count(DISTINCT a), bool_and(a = rowid) FROM t") == [(300_003, 300_003, True)]
    sizes = (
        "SELECT sum(count) FROM pragma_storage_info('t') WHERE segment_type = 'BIGINT' GROUP BY row_group_id ORDER BY 1"
    )
    assert run(uri, sizes) == [(300_003 - 2 * ROW_GROUP,), (ROW_GROUP,), (ROW_GROUP,)]


@pytest.mark.parametrize("rows", [ROW_GROUP, ROW_GROUP + 1, 3 * ROW_GROUP])
def test_a_failure_after_parts_were_committed_leaves_no_file(
    monkeypatch: pytest.MonkeyPatch, uri: str, rows: int
) -> None:
    """What is committed is so in the temporary file only."""
    monkeypatch.setattr(_inserting, "_COLUMNS_OF_A_PART", 1)
    monkeypatch.setattr(_inserting, "_LEAST_ROW_GROUPS", 1)
    before = open_descriptors()
    with pytest.raises(Fails):
        load(uri, *numbers(rows), Fails())
    assert folder(uri) == []
    assert open_descriptors() == before


def test_a_row_group_is_written_and_let_go_of_when_it_is_complete(uri: str) -> None:
    """There are never two that have yet to be written, wherever batches end, and the cache is emptied after each."""
    kind = pa.schema([("a", pa.string())])
    settings = Settings(memory_bytes=256 << 20, threads=2, result_bytes=1 << 20)
    held: dict[str, int] = {}
    path = Path(uri.removeprefix("duckdb:///"))

    def batches(database: Database) -> Iterator[pa.RecordBatch]:
        for _ in range(50):
            yield pa.RecordBatch.from_pydict({"a": [os.urandom(50).hex() for _ in range(19_300)]}, schema=kind)
            query = "SELECT tag, memory_usage_bytes, temporary_storage_bytes FROM duckdb_memory()"
            for tag, size, spilled in database.rows(query):
                held[tag] = max(held.get(tag, 0), size)
                assert spilled == 0

    with Database.loading(path, settings, ROW_GROUP, where="here") as database:
        database.run("CREATE TABLE t (a VARCHAR)")
        with database.transaction():
            cache = BlockCache(database, settings)
            insert = f"INSERT INTO t SELECT * FROM {_inserting.BATCH}"
            Inserter(database, insert, kind, "here", ROW_GROUP, cache).insert(batches(database))
        assert database.rows("SELECT count(*) FROM t") == [(50 * 19_300,)]
    one = ROW_GROUP * 120
    assert one / 2 < held["IN_MEMORY_TABLE"] < 1.5 * one
    assert held["BASE_TABLE"] < 1.5 * one


def test_more_wide_rows_than_fit_into_its_memory(uri: str) -> None:
    """They go into small row groups, of which one at a time is in memory; whoever opens the file finds all rows."""
    run(uri, "CREATE TABLE old (a INTEGER)")
    size, rows = 100_000, 3000

    def batches() -> Iterator[pa.RecordBatch]:
        for _ in range(0, rows, 20):
            yield pa.RecordBatch.from_pydict({"a": [os.urandom(size // 2).hex() for _ in range(20)]})

    sink = table_sink(uri)
    assert sink.check()
    sink.load(Batches(pa.schema([("a", pa.string())]), batches()))
    total = "SELECT count(*), sum(length(a)), count(DISTINCT left(a, 30)) FROM t"
    assert run(uri, total) == [(rows, rows * size, rows)]
    assert run(uri, "INSERT INTO t SELECT a FROM t LIMIT 1", total) == [(rows + 1, (rows + 1) * size, rows)]


def test_many_columns(uri: str) -> None:
    """Half of the default memory is enough for 1,600 columns in a new file, although each has blocks of its own."""
    rows, columns = 8000, 1600
    plain = pa.array(range(rows), pa.int64())
    names = [f"c{number}" for number in range(columns)]
    whole = pa.RecordBatch.from_arrays([plain] * columns, names=names)
    load(uri, *(whole.slice(start, 500) for start in range(0, rows, 500)), options={"memory_limit": "128MiB"})
    assert run(uri, "SELECT count(*), sum(c0), sum(c1599) FROM t") == [(rows, 31_996_000, 31_996_000)]


@pytest.mark.parametrize("table", ["memory.t", "temp.t", "system.t", "data.t", "penstock_loaded.t"])
def test_no_schema_is_taken_for_another_database(uri: str, table: str) -> None:
    """What is before the dot is a schema of the file, and there is none of that name."""
    run(uri, "CREATE TABLE old (a INTEGER)")
    with pytest.raises(SinkError, match=table.partition(".")[0]):
        load(uri, BATCH, table=table)
    assert run(uri, "SELECT table_name FROM duckdb_tables()") == [("old",)]


def test_wide_values_that_do_not_fit_into_its_memory_are_an_error_that_says_what_to_do(uri: str) -> None:
    """DuckDB keeps them until it commits; too many fail, leave nothing, and the message names the option."""
    wide = pa.RecordBatch.from_pydict({"a": ["x" * (4 << 20)]})
    with pytest.raises(SinkError, match="memory_limit"):
        load(uri, *[wide] * 16, options={"memory_limit": "32MiB"})
    assert folder(uri) == []
