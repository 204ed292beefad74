"""DuckDB: every value as it is or a clear error; memory bounded, nothing installed, nothing left open."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from penstock.connectors.duckdb._cache import BlockCache
from penstock.connectors.duckdb._connection import Database, Settings
from penstock.core.cancel import CancelScope, fail_after
from penstock.errors import ConfigurationError, DeadlineExceeded, SourceError
from penstock.flow.contracts import Describable
from penstock.flow.description import ColumnType
from penstock.flow.losses import Loss, Losses
from tests.connectors.parts import Cancellable, cancelled_at_once, open_descriptors, read_rows, read_table, source_of

duckdb = pytest.importorskip("duckdb")

MEMORY = "duckdb:///:memory:"
FOR_EVER = "SELECT count(*) AS n FROM range(1000000000000) AS r(i) WHERE hash(i) = 5"
NEVER_AGAIN = "SELECT i FROM range(1000000000000) AS r(i) WHERE i < 5000 OR hash(i) = 5"


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"duckdb:///{tmp_path / 'data.db'}"


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where DuckDB spills to; every test leaves it empty."""
    folder = tmp_path_factory.mktemp("spilled")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def fill(uri: str, *statements: str) -> None:
    with closing(duckdb.connect(uri.removeprefix("duckdb:///"))) as connection:
        for statement in statements:
            connection.execute(statement).complete()


def read_value(expression: str, **options: Any) -> tuple[pa.DataType, Any]:
    """The Arrow type that one value comes as, and what it is; timestamps of nanoseconds as their number."""
    column = read_table(source_of(MEMORY, query=f"SELECT {expression} AS v", **options)).column("v")
    is_fine = pa.types.is_timestamp(column.type) and column.type.unit == "ns"
    return column.type, (column.cast(pa.int64()) if is_fine else column).to_pylist()[0]


HUGE = "170141183460469231731687303715884105727"
TYPES: list[tuple[str, Any, Any]] = [
    ("true", pa.bool_(), True),
    ("(-128)::TINYINT", pa.int8(), -128),
    ("(-9223372036854775808)::BIGINT", pa.int64(), -(2**63)),
    ("18446744073709551615::UBIGINT", pa.uint64(), 2**64 - 1),
    ("sum(1)", pa.decimal128(38, 0), Decimal(1)),
    (f"{'9' * 38}::HUGEINT", pa.decimal128(38, 0), Decimal("9" * 38)),
    ("340282366920938463463374607431768211455::UHUGEINT", pa.string(), "340282366920938463463374607431768211455"),
    (f"'{'7' * 70}'::BIGNUM", pa.string(), "7" * 70),
    ("1.50::DECIMAL(4, 2)", pa.decimal128(4, 2), Decimal("1.50")),
    (f"'-{'9' * 28}.{'9' * 10}'::DECIMAL(38, 10)", pa.decimal128(38, 10), Decimal(f"-{'9' * 28}.{'9' * 10}")),
    ("1.5::FLOAT", pa.float32(), 1.5),
    ("'-inf'::DOUBLE", pa.float64(), float("-inf")),
    ("5e-324::DOUBLE", pa.float64(), 5e-324),
    ("''", pa.string(), ""),
    ("'a' || chr(0) || 'ü' || chr(127)", pa.string(), "a\0ü\x7f"),
    (r"'\x00\xFF'::BLOB", pa.binary(), b"\0\xff"),
    ("'10101'::BIT", pa.string(), "10101"),
    ("DATE '0001-01-01'", pa.date32(), date(1, 1, 1)),
    ("DATE '9999-12-31'", pa.date32(), date(9999, 12, 31)),
    ("TIME '23:59:59.999999'", pa.time64("us"), time(23, 59, 59, 999999)),
    ("TIMETZ '12:34:56.123456+05:30'", pa.string(), "12:34:56.123456+05:30"),
    ("'2024-01-01 00:00:01'::TIMESTAMP_S", pa.timestamp("s"), datetime(2024, 1, 1, 0, 0, 1, tzinfo=UTC)),
    ("'2024-01-01 00:00:00.001'::TIMESTAMP_MS", pa.timestamp("ms"), datetime(2024, 1, 1, 0, 0, 0, 1000, UTC)),
    ("TIMESTAMP '9999-12-31 23:59:59.999999'", pa.timestamp("us"), datetime(9999, 12, 31, 23, 59, 59, 999999, UTC)),
    ("'1970-01-01 00:00:00.123456789'::TIMESTAMP_NS", pa.timestamp("ns"), 123456789),
    (
        "TIMESTAMPTZ '2024-01-01 01:02:03.000004+05:30'",
        pa.timestamp("us", "UTC"),
        datetime(2023, 12, 31, 19, 32, 3, 4, UTC),
    ),
    ("INTERVAL '1 month 2 days 3 hours'", pa.string(), "1 month 2 days 03:00:00"),
    ("UUID '00112233-4455-6677-8899-AABBCCDDEEFF'", pa.string(), "00112233-4455-6677-8899-aabbccddeeff"),
    ("'b'::ENUM('a', 'b')", pa.string(), "b"),
    ("""'{"a": 1.10}'::JSON""", pa.string(), '{"a": 1.10}'),
    ("[1, NULL]", pa.list_(pa.field("l", pa.int32())), [1, None]),
    ("[1, 2]::INTEGER[2]", pa.list_(pa.field("l", pa.int32())), [1, 2]),
    ("{'a': 1, 'b \"c': ['x']}", None, {"a": 1, 'b "c': ["x"]}),
    ("{'a': INTERVAL 1 DAY, 'u': 1::UHUGEINT}", None, {"a": "1 day", "u": "1"}),
    ("row(1, INTERVAL 1 DAY)", None, {"element1": 1, "element2": "1 day"}),
    ("MAP {'a': 1}", pa.map_(pa.string(), pa.int32()), [("a", 1)]),
    ("MAP {'a': ['x'::ENUM('x')]}", None, [("a", ["x"])]),
    ("union_value(k := 1)", pa.string(), "1"),
    ("NULL", pa.string(), None),
    ("NULL::BIGINT", pa.int64(), None),
]


@pytest.mark.parametrize(("expression", "kind", "value"), TYPES, ids=[expression[:30] for expression, _, _ in TYPES])
def test_every_type_comes_as_it_is(expression: str, kind: pa.DataType | None, value: object) -> None:
    """Nothing wraps around, loses an offset, or is rounded; also inside lists, structs and maps."""
    found_kind, found = read_value(expression)
    if isinstance(found, datetime):
        found = found.replace(tzinfo=UTC)
    assert found == value
    assert kind is None or found_kind == kind


LOSSES = [
    ("DATE 'infinity'", "date32[day]", "infinity, or a year outside 1 to 9999", "infinity"),
    ("DATE '10000-01-01'", "date32[day]", "infinity, or a year outside 1 to 9999", "10000-01-01"),
    ("DATE '0001-01-01 (BC)'", "date32[day]", "infinity, or a year outside 1 to 9999", "0001-01-01 (BC)"),
    ("TIMESTAMP '-infinity'", "timestamp[us]", "infinity, or a year outside 1 to 9999", "-infinity"),
    ("'infinity'::TIMESTAMP_S", "timestamp[s]", "infinity, or a year outside 1 to 9999", "infinity"),
    ("'infinity'::TIMESTAMP_NS", "timestamp[ns]", "infinity, or a year outside 1 to 9999", "infinity"),
    ("TIMESTAMPTZ 'infinity'", "timestamp[us, tz=UTC]", "infinity, or a year outside 1 to 9999", "infinity"),
    ("TIME '24:00:00'", "time64[us]", "24:00:00", "24:00:00"),
    (f"{HUGE}::HUGEINT", "decimal128(38, 0)", "a number of 39 digits", HUGE),
]


@pytest.mark.parametrize(("expression", "kind", "reason", "text"), LOSSES, ids=[case[0] for case in LOSSES])
def test_what_the_arrow_type_does_not_have(expression: str, kind: str, reason: str, text: str) -> None:
    """An error that names column and row; or NULL, counted; or text as DuckDB writes it."""
    query = f"SELECT CASE WHEN i = 3000 THEN {expression} END AS v FROM range(5000) AS r(i)"
    with pytest.raises(SourceError) as caught:
        read_table(source_of(MEMORY, query=query))
    assert f"column 'v' is read as {kind}, but row 3001 holds {reason}" in str(caught.value)
    losses = Losses()
    assert read_table(source_of(MEMORY, query=query, on_type_loss="warn", losses=losses)).column(0).null_count == 5000
    assert losses.told() == (Loss("v", f"{reason} does not fit {kind}", 1),)
    assert read_table(source_of(MEMORY, query=query, on_type_loss="text")).column(0)[3000].as_py() == text


@pytest.mark.parametrize(
    ("expression", "as_text"),
    [
        ("[DATE '2024-01-01', DATE 'infinity']", ["2024-01-01", "infinity"]),
        ("{'d': [TIMESTAMP 'infinity']}", {"d": ["infinity"]}),
        ("MAP {'k': TIME '24:00:00'}", [("k", "24:00:00")]),
        (f"MAP {{{HUGE}::HUGEINT: 1}}", [(HUGE, 1)]),
    ],
)
def test_it_is_looked_for_inside_nested_values_too(expression: str, as_text: object) -> None:
    """There the whole value becomes NULL, and its neighbours stay."""
    query = f"SELECT CASE WHEN i = 1 THEN {expression} END AS v FROM range(3) AS r(i)"
    with pytest.raises(SourceError, match="row 2 holds a date, time or number"):
        read_table(source_of(MEMORY, query=query))
    losses = Losses()
    rows = read_rows(source_of(MEMORY, query=query, on_type_loss="warn", losses=losses))
    assert [row["v"] for row in rows] == [None, None, None]
    assert losses.told()[0].count == 1
    assert read_rows(source_of(MEMORY, query=query, on_type_loss="text"))[1]["v"] == as_text


def test_rows_keep_their_order_also_when_columns_are_converted() -> None:
    """ORDER BY in the query means what it says."""
    query = "SELECT i, i::UHUGEINT AS u FROM range(300000) AS r(i) ORDER BY hash(i)"
    table = read_table(source_of(MEMORY, query=query))
    plain = read_table(source_of(MEMORY, query="SELECT i FROM range(300000) AS r(i) ORDER BY hash(i)"))
    assert table.column("i").equals(plain.column("i"))
    assert table.column("u").to_pylist()[:5] == [str(value) for value in plain.column("i").to_pylist()[:5]]


def test_columns_where_and_limit_narrow_a_table_or_query(uri: str) -> None:
    """They are SQL's own, in the order given; columns may share a name."""
    fill(uri, 'CREATE TABLE "odd ""name" ("a b" INT, c INT)', 'INSERT INTO "odd ""name" VALUES (1, 2), (3, 4), (5, 6)')
    expected = [{"c": 4, "a b": 3}]
    narrow = {"columns": ["c", "a b"], "where": "c > 2", "limit": 1}
    assert read_rows(source_of(uri, table='odd "name', **narrow)) == expected
    assert read_rows(source_of(uri, query='SELECT * FROM "odd ""name" -- note', **narrow)) == expected
    twice = read_table(source_of(uri, query="SELECT 1 AS a, 2::UHUGEINT AS a"))
    assert (twice.schema.names, twice.column(1).to_pylist()) == (["a", "a"], ["2"])


def test_no_rows_have_two_thousand_columns(uri: str) -> None:
    """Zero rows is not zero columns."""
    fill(uri, f"CREATE TABLE t ({', '.join(f'c{index} DATE' for index in range(2000))})")
    table = read_table(source_of(uri, table="t"))
    assert (table.num_rows, table.num_columns, set(table.schema.types)) == (0, 2000, {pa.date32()})


def test_batches_are_bounded_in_bytes() -> None:
    """Narrow rows are joined to batches of about that size, wide ones cut; every row arrives once."""
    query = "SELECT i, CASE WHEN i >= 20000 THEN repeat('x', 10000) END AS s FROM range(21000) AS r(i)"
    source = source_of(MEMORY, query=query, batch_bytes=200_000)
    with source.open_batches() as batches:
        seen = [(batch.num_rows, batch.nbytes, batch.column(0)[0].as_py()) for batch in batches]
    assert max(size for _, size, _ in seen) <= 200_000
    assert seen[0][0] > 2048
    starts = [sum(rows for rows, _, _ in seen[:index]) for index in range(len(seen))]
    assert [first for _, _, first in seen] == starts
    assert source.rows_read == 21000


def test_a_value_of_64_mebibytes_comes_through() -> None:
    """As a batch of its own."""
    column = read_table(source_of(MEMORY, query="SELECT repeat('x', 67108864) AS v")).column(0)
    assert column.chunk(0).nbytes >= 64 << 20


def test_what_does_not_fit_into_its_memory_is_an_error() -> None:
    """It names the option that gives it more."""
    query = "SELECT list(repeat('x', 1000000) || i) AS v FROM range(1000) AS r(i)"
    with pytest.raises(SourceError, match="memory_limit"):
        read_table(source_of(MEMORY, query=query, options={"memory_limit": "64MiB", "threads": 1}))


def test_a_large_sort_spills_to_a_folder_that_is_removed(temporary_folder: Path) -> None:
    """More than memory_limit is sorted all the same."""
    query = "SELECT i, repeat('x', 100) AS s FROM range(1000000) AS r(i) ORDER BY hash(i)"
    source = source_of(MEMORY, query=query, options={"memory_limit": "64MiB", "threads": 1})
    with source.open_batches() as batches:
        next(iter(batches))
        spilled = [entry for folder in temporary_folder.iterdir() for entry in folder.rglob("*")]
    assert spilled


def test_queries_read_files_without_a_database(tmp_path: Path) -> None:
    """What DuckDB reads by itself is a source, too."""
    pq.write_table(pa.table({"a": [1, 2]}), tmp_path / "x.parquet")
    (tmp_path / "x.csv").write_text("b\n7\n")
    query = f"SELECT * FROM '{tmp_path}/x.parquet', read_csv('{tmp_path}/x.csv')"
    assert read_rows(source_of(MEMORY, query=query)) == [{"a": 1, "b": 7}, {"a": 2, "b": 7}]


def test_a_variable_of_the_program_is_no_table() -> None:
    """DuckDB's Python package would read it; a query means the same wherever it is run."""
    evnts = pa.table({"a": [1]})
    with pytest.raises(SourceError, match="no such table: evnts"):
        read_table(source_of(MEMORY, query="SELECT * FROM evnts"))
    assert evnts.num_rows == 1


def test_no_extension_is_downloaded() -> None:
    """A query that needs one says so."""
    with pytest.raises(SourceError, match="no extension is downloaded here"):
        read_table(source_of(MEMORY, query="SELECT * FROM read_xlsx('x.xlsx')"))


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"table": "evnts"}, "no such table: evnts (did you mean 'events'?)"),
        ({"table": "zzz"}, "no such table: zzz (there are events, users)"),
        ({"query": "SELECT * FROM evnts"}, "did you mean 'events'?"),
        ({"table": "events", "columns": ["nope"]}, "events: no column 'nope' (there are id)"),
        ({"table": "events", "columns": ["id", "ids"]}, "no column 'ids' (did you mean 'id'?)"),
        ({"query": "SELECT 1 AS one", "columns": ["on"]}, "no column 'on' (did you mean 'one'?)"),
        ({"table": "events", "columns": ["id"], "where": "nope = 1"}, 'Referenced column "nope" not found'),
        ({"query": "SELEC 1"}, 'syntax error at or near "SELEC"'),
        ({"query": "DELETE FROM events"}, "the query is DELETE (use one SELECT)"),
        ({"query": "CREATE TABLE x (a INT)"}, "the query is CREATE (use one SELECT)"),
        ({"query": "COPY (SELECT 1) TO '/nonexistent/x'"}, "the query is COPY (use one SELECT)"),
        ({"query": "SELECT 1; SELECT 2"}, "the query is SELECT and SELECT (use one SELECT)"),
        ({"query": "-- nothing"}, "the query is nothing"),
        ({"query": "SELECT error('on purpose')"}, "on purpose"),
        ({"query": "SELECT if(i = 9000, error('later'), i) AS v FROM range(10000) AS r(i)"}, "later"),
    ],
)
def test_what_the_database_refuses_is_said_clearly(uri: str, request_: dict[str, object], said: str) -> None:
    """One line: where, what, what to do."""
    fill(uri, "CREATE TABLE events (id INT)", "CREATE VIEW users AS SELECT * FROM events")
    with pytest.raises(SourceError) as caught:
        read_table(source_of(uri, **request_))
    assert said in str(caught.value)
    assert str(caught.value).startswith(uri)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_not_created(tmp_path: Path) -> None:
    """The similar name is offered, and the folder stays as it was."""
    (tmp_path / "events.db").touch()
    with pytest.raises(SourceError, match=r"no such file \(did you mean 'events.db'"):
        read_table(source_of(f"duckdb:///{tmp_path}/evnts.db", table="t"))
    assert [entry.name for entry in tmp_path.iterdir()] == ["events.db"]


def test_what_is_no_database_is_said_clearly(tmp_path: Path) -> None:
    """A text file, and a folder."""
    (tmp_path / "text.db").write_text("hello, I am no database at all\n" * 100)
    with pytest.raises(SourceError, match="it is not a DuckDB database"):
        read_table(source_of(f"duckdb:///{tmp_path}/text.db", table="t"))
    with pytest.raises(SourceError, match="it is a folder, and not a file"):
        read_table(source_of(f"duckdb:///{tmp_path}", table="t"))


def test_a_database_that_is_open_elsewhere_is_said_clearly(uri: str) -> None:
    """DuckDB lets one process write or several read: in this process, and in another, which is worth another try."""
    fill(uri, "CREATE TABLE t (a INT)")
    path = uri.removeprefix("duckdb:///")
    with closing(duckdb.connect(path)), pytest.raises(SourceError, match="this process has it open already"):
        read_table(source_of(uri, table="t"))
    holding = f"import duckdb; connection = duckdb.connect({path!r}); print('open', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", holding], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(SourceError, match="another process has it open") as caught:
            read_table(source_of(uri, table="t"))
        other.communicate(b"\n")
    assert caught.value.transient


def test_options_are_checked() -> None:
    """Before anything is opened."""
    for options, said in (
        ({"memory_limit": "much"}, "memory_limit"),
        ({"memory_limit": 1.5}, "memory_limit is a size"),
        ({"threads": 0}, "threads is a number above zero"),
        ({"thread": 1}, "did you mean 'threads'"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            source_of(MEMORY, query="SELECT 1", options=options)
    with pytest.raises(ConfigurationError, match="unknown parameter"):
        source_of("duckdb:///x.db?a=b", table="t")


def test_bytes_are_refused() -> None:
    """There are none, and it says so in byte_formats and here."""
    source = source_of("duckdb:///x.db", table="t")
    assert source.byte_formats == frozenset()
    with pytest.raises(ConfigurationError, match="DuckDB does not hand out csv itself"):
        source.open_bytes("csv")


def test_it_describes_itself(uri: str) -> None:
    """Columns with both types, how it is read and why, and how many rows there may be."""
    fill(uri, "CREATE TABLE t (a DECIMAL(12, 2), i INTERVAL, s VARCHAR)", "INSERT INTO t VALUES (1, NULL, 'x')")
    source = source_of(uri, table="t")
    assert isinstance(source, Describable)
    described = source.describe(None)
    assert described.columns == (
        ColumnType("a", "DECIMAL(12,2)", "decimal128(12, 2)"),
        ColumnType("i", "INTERVAL", "string", "as DuckDB writes it"),
        ColumnType("s", "VARCHAR", "string"),
    )
    assert (described.estimated_rows, source.rows_read) == (1, None)
    assert "snapshot" in described.consistency
    endless = source_of(uri, query=FOR_EVER).describe(None)  # type: ignore[attr-defined]
    assert [column.name for column in endless.columns] == ["n"]
    with pytest.raises(SourceError, match="use one SELECT"):
        source_of(uri, query="DELETE FROM t").describe(None)  # type: ignore[attr-defined]


def test_the_connection_closes_on_every_way_out(uri: str) -> None:
    """After the end, after a break, after an error in the block, after an error of the database."""
    fill(uri, "CREATE TABLE t AS SELECT i FROM range(100000) AS r(i)")
    before = open_descriptors()
    read_table(source_of(uri, table="t"))
    with source_of(uri, table="t", batch_bytes=1).open_batches() as batches:
        next(iter(batches))
    with pytest.raises(KeyError), source_of(uri, table="t").open_batches():
        raise KeyError
    with pytest.raises(SourceError):
        read_table(source_of(uri, query="SELECT if(i = 90000, error('x'), i) FROM t"))
    with pytest.raises(SourceError):
        read_table(source_of(uri, table="absent"))
    assert open_descriptors() == before
    fill(uri, "DROP TABLE t")  # nobody holds it


@pytest.mark.parametrize("query", [FOR_EVER, NEVER_AGAIN])
def test_a_cancel_interrupts_a_query_that_would_never_end(query: str) -> None:
    """While DuckDB computes the first row, and in the middle of the stream."""
    call = Cancellable(lambda: read_table(source_of(MEMORY, query=query)))
    call.wait_still()
    assert call.cancel() < 0.5


def test_a_deadline_interrupts_it_too() -> None:
    """fail_after works as around any wait of ours."""
    with pytest.raises(DeadlineExceeded), fail_after(0.2):
        read_table(source_of(MEMORY, query=FOR_EVER))


def test_a_scope_cancelled_before_runs_nothing(uri: str) -> None:
    """No statement is run under a cancelled scope."""
    fill(uri, "CREATE TABLE t (a INT)")
    cancelled_at_once(lambda: read_table(source_of(uri, table="t")))


def test_a_cancel_between_batches_ends_it() -> None:
    """A stream that is cancelled while nobody is inside DuckDB raises at the next batch."""
    seen = []
    with (
        CancelScope() as scope,
        source_of(MEMORY, query="FROM range(100000)", batch_bytes=1000).open_batches() as batches,
    ):
        for batch in batches:
            seen.append(batch.num_rows)
            if sum(seen) >= 2048:
                scope.cancel()
    assert scope.cancelled_caught
    assert sum(seen) == 2048


def test_what_has_been_read_is_let_go_of(uri: str) -> None:
    """DuckDB caches every block it reads: now and then it is made to forget, and its limit is what it was."""
    fill(uri, "CREATE TABLE t AS SELECT hash(i) AS a, hash(-i) AS b FROM range(2000000) AS r(i)")
    settings = Settings(memory_bytes=256 << 20, threads=1, result_bytes=1 << 20)
    path = Path(uri.removeprefix("duckdb:///"))
    with Database.opened(path, settings, read_only=True, where="here", error=SourceError) as database:
        database.rows("SELECT sum(a), sum(b) FROM t")
        filled = cached_bytes(database)
        assert filled > 24 << 20, "nothing was cached: the test shows nothing"
        cache = BlockCache(database, settings)
        cache.has_read(63 << 20)
        assert cached_bytes(database) == filled, "rows this wide are not to be read anew"
        cache = BlockCache(database, settings)
        for _ in range(64):
            cache.has_read(1 << 20)
        assert cached_bytes(database) <= 16 << 20
        assert database.rows("SELECT current_setting('memory_limit')") == [("256.0 MiB",)]


def cached_bytes(database: Database) -> int:
    """What DuckDB holds of files."""
    [(held,)] = database.rows("SELECT memory_usage_bytes FROM duckdb_memory() WHERE tag = 'BASE_TABLE'")
    return int(held)


@pytest.mark.parametrize("memory_limit", ["64MiB", "1GiB"])
def test_a_table_is_read_whole_while_the_cache_is_emptied(uri: str, memory_limit: str) -> None:
    """All rows come, whatever the limit."""
    fill(uri, "CREATE TABLE t AS SELECT i, hash(i) AS a, hash(-i) AS b FROM range(6000000) AS r(i)")
    source = source_of(uri, table="t", options={"memory_limit": memory_limit})
    with source.open_batches() as stream:
        found = [pc.sum(batch.column("i")).as_py() for batch in stream]
    assert sum(found) == 6_000_000 * 5_999_999 // 2
