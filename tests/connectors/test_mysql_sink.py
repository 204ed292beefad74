"""MySQL and MariaDB, for writing: every value exactly or an error, loaded or nothing, whatever fails."""

from __future__ import annotations

import datetime as dt
import re
import threading
import traceback
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import penstock
from penstock.core.cancel import CancelScope
from penstock.errors import AlreadyExists, ConfigurationError, SinkError
from tests.connectors.mysql_parts import Loaded, make, no_settings_from_outside, nobody_left, running, table_sink
from tests.connectors.parts import (
    SECRET,
    Cancellable,
    Fails,
    cancelled_at_once,
    open_descriptors,
    read_table,
    source_of,
)
from tests.core.threads import wait_until

if TYPE_CHECKING:
    from tests.servers.mariadb import MariaDbDatabase, MariaDbServer

at = dt.datetime  # most here have no time zone, as a DATETIME
ROWS = pa.table({"a": [1, 2], "b": ["x", None]})


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    no_settings_from_outside(monkeypatch, tmp_path)


@pytest.fixture(autouse=True)
def nothing_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """No session and no table of ours outlives a test."""
    database = request.getfixturevalue("mariadb") if "mariadb" in request.fixturenames else None
    yield
    if database is not None:
        nobody_left(database)
        assert [name for name in database.tables() if "penstock" in name] == []


@pytest.fixture
def inserts(mariadb_server: MariaDbServer) -> Iterator[Callable[[], None]]:
    """A switch that forbids LOAD DATA LOCAL, so that rows go in by INSERT, as with MySQL's own default."""

    def switch() -> None:
        mariadb_server.maintenance.execute("SET GLOBAL local_infile = 0")

    yield switch
    mariadb_server.maintenance.execute("SET GLOBAL local_infile = 1")


def rows_of(database: MariaDbDatabase, table: str = "t") -> list[tuple[Any, ...]]:
    return database.execute(f"SELECT * FROM `{table}`")


# --- values ---

TEXT = "".join(map(chr, range(1, 0x250))) + "\0\\N日本😀'\"`"
TYPES: dict[str, tuple[pa.DataType, Any, str, Any]] = {
    # name: Arrow type, value, created as, read back as (... where it is the same)
    "b": (pa.bool_(), True, "tinyint(1)", 1),
    "i1": (pa.int8(), -128, "tinyint(4)", ...),
    "i2": (pa.int16(), -(2**15), "smallint(6)", ...),
    "i4": (pa.int32(), -(2**31), "int(11)", ...),
    "i8": (pa.int64(), -(2**63), "bigint(20)", ...),
    "u1": (pa.uint8(), 255, "tinyint(3) unsigned", ...),
    "u8": (pa.uint64(), 2**64 - 1, "bigint(20) unsigned", ...),
    "f2": (pa.float16(), 0.0999755859375, "float", ...),
    "f4": (pa.float32(), 1.401298464324817e-45, "float", ...),
    "f8": (pa.float64(), 1.7976931348623157e308, "double", ...),
    "f8s": (pa.float64(), 5e-324, "double", ...),
    "d1": (pa.decimal128(38, 10), Decimal("-1234567890123456789012345678.0123456789"), "decimal(38,10)", ...),
    "d2": (pa.decimal256(65, 30), Decimal("9" * 35 + "." + "9" * 30), "decimal(65,30)", ...),
    "d3": (pa.decimal256(76, 0), Decimal("9" * 76), "longtext", "9" * 76),
    "s": (pa.string(), TEXT, "longtext", ...),
    "se": (pa.large_string(), "", "longtext", ...),
    "sn": (pa.string_view(), r"\N", "longtext", ...),
    "sd": (pa.dictionary(pa.int8(), pa.string()), "NULL", "longtext", ...),
    "x": (pa.binary(), bytes(range(256)), "longblob", ...),
    "xe": (pa.large_binary(), b"", "longblob", ...),
    "xf": (pa.binary(3), b"\0'\\", "longblob", ...),
    "day": (pa.date32(), dt.date(9999, 12, 31), "date", ...),
    "day64": (pa.date64(), dt.date(1, 1, 1), "date", ...),
    "ts": (pa.timestamp("us"), at(9999, 12, 31, 23, 59, 59, 999999), "datetime(6)", ...),
    "tsn": (pa.timestamp("ns"), at(2024, 1, 2, 3, 4, 5, 6), "datetime(6)", ...),
    "tz": (
        pa.timestamp("s", "Asia/Tokyo"),
        dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
        "timestamp(6)",
        dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
    ),
    "tm": (pa.time64("us"), dt.time(23, 59, 59, 999999), "time(6)", "23:59:59.999999"),
    "tm32": (pa.time32("s"), dt.time(1, 2, 3), "time(6)", "01:02:03.000000"),
    "du": (pa.duration("us"), -dt.timedelta(hours=838, microseconds=1), "time(6)", "-838:00:00.000001"),
    "li": (pa.list_(pa.int8()), [1, None], "json", "[1,null]"),
    "sr": (pa.struct({"a": pa.string()}), {"a": "x\"\n'"}, "json", '{"a":"x\\"\\n\'"}'),
    "u": (pa.uuid(), uuid.UUID(int=1).bytes, "char(36)", "00000000-0000-0000-0000-000000000001"),
    "n": (pa.null(), None, "longtext", ...),
    "odd `name": (pa.int8(), 1, "tinyint(4)", ...),
}


@pytest.mark.parametrize("way", ["load data", "insert"])
def test_every_type_makes_its_column_and_comes_back(
    mariadb: MariaDbDatabase, inserts: Callable[[], None], way: str
) -> None:
    """Both ways in; with NULL next to each value; sliced arrays too, whose buffers hold more than they show."""
    if way == "insert":
        inserts()
    columns = {name: pa.array([value, value, None], kind) for name, (kind, value, *_) in TYPES.items()}
    receipt = table_sink(mariadb).load(Loaded(pa.table(columns).slice(1)))
    assert receipt.details == {"rows": 2, "table": "t"}
    assert receipt.location == f"mysql://{mariadb.user}:***@127.0.0.1:{mariadb.port}/{mariadb.name} t"
    created = mariadb.execute("SHOW CREATE TABLE t")[0][1]
    back = read_table(source_of(mariadb.uri, table="t"))
    for name, (_kind, value, declared, expected) in TYPES.items():
        sql_name = "`" + name.replace("`", "``") + "`"
        wanted = f"CHECK (json_valid({sql_name}))" if declared == "json" else f"  {sql_name} {declared}"
        assert wanted in created
        assert (name, back[name].to_pylist()) == (name, [value if expected is ... else expected, None])


CELLS = st.tuples(
    st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20), st.none() | st.binary(max_size=20)
)


@pytest.mark.parametrize("way", ["load data", "insert"])
def test_any_text_and_bytes_come_back(mariadb: MariaDbDatabase, inserts: Callable[[], None], way: str) -> None:
    """Tabs, backslashes, quotes, line ends, NULs, bytes that are no text; NULL apart from the empty string."""
    if way == "insert":
        inserts()

    @given(st.lists(CELLS, min_size=20, max_size=100))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=6)
    def check(rows: list[tuple[str | None, bytes | None]]) -> None:
        texts, data = zip(*rows, strict=True)
        table = pa.table({"s": pa.array(texts, pa.string()), "x": pa.array(data, pa.binary())})
        table_sink(mariadb, if_exists="overwrite").load(Loaded(table))
        assert read_table(source_of(mariadb.uri, table="t")).equals(table.combine_chunks())

    check()


@pytest.mark.parametrize("way", ["load data", "insert"])
def test_wide_values_come_back(mariadb: MariaDbDatabase, inserts: Callable[[], None], way: str) -> None:
    """Whichever way they go in, and over several packets."""
    if way == "insert":
        inserts()
    wide = pa.table({"s": ["x" * (17 << 20)], "x": [b"\xff" * (3 << 20)]})
    table_sink(mariadb).load(Loaded(wide))
    assert mariadb.execute("SELECT length(s), length(x), right(s, 1) FROM t") == [(17 << 20, 3 << 20, "x")]


@pytest.mark.slow
def test_a_value_of_64_mebibytes_goes_in_and_comes_out(mariadb: MariaDbDatabase) -> None:
    """As long as the server's max_allowed_packet lets it, on the way in as on the way out."""
    wide = pa.table({"s": ["x" * (64 << 20)]})
    table_sink(mariadb).load(Loaded(wide))
    assert read_table(source_of(mariadb.uri, table="t")).equals(wide)


def test_a_row_longer_than_a_statement_may_be_is_refused(
    mariadb: MariaDbDatabase, mariadb_server: MariaDbServer, inserts: Callable[[], None]
) -> None:
    """With what to raise; LOAD DATA has no such limit."""
    inserts()
    mariadb_server.maintenance.execute("SET GLOBAL max_allowed_packet = 1048576")
    try:
        with pytest.raises(SinkError, match=r"a row takes .* max_allowed_packet is .*raise it: SET GLOBAL"):
            table_sink(mariadb).load(Loaded(pa.table({"s": ["x", "x" * (1 << 20)]})))
    finally:
        mariadb_server.maintenance.execute("SET GLOBAL max_allowed_packet = 100663296")
    assert mariadb.tables() == []


def test_a_table_without_rows_is_made_all_the_same(mariadb: MariaDbDatabase) -> None:
    """Its columns are worth something."""
    receipt = table_sink(mariadb).load(Loaded(ROWS.schema))
    assert (receipt.bytes_stored, receipt.details["rows"]) == (0, 0)
    assert rows_of(mariadb) == []
    assert read_table(source_of(mariadb.uri, table="t")).schema == ROWS.schema


def test_a_thousand_columns(mariadb: MariaDbDatabase) -> None:
    """Close to InnoDB's limit of 1,017; beyond it the server's own error comes, and nothing stays."""
    many = pa.table({f"c{index}": pa.array([index % 100], pa.int8()) for index in range(1000)})
    table_sink(mariadb).load(Loaded(many))
    assert rows_of(mariadb) == [tuple(index % 100 for index in range(1000))]
    for columns, said in ((1018, "[Tt]oo many columns"), (1017, r"Row size too large.*load fewer columns")):
        with pytest.raises(SinkError, match=said):
            table_sink(mariadb, "u").load(Loaded(pa.table({f"c{index}": [index] for index in range(columns)})))


# --- what is there already ---


def test_if_exists_says_what_becomes_of_a_table(mariadb: MariaDbDatabase) -> None:
    """Fail, skip, overwrite or append; a database may stand in front of its name, and the case of columns is nothing."""
    name = f"{mariadb.name}.t"
    assert table_sink(mariadb, name).check()
    table_sink(mariadb, name).load(Loaded(ROWS))
    with pytest.raises(AlreadyExists, match=r"t: the table exists already .if_exists may be overwrite, append or skip"):
        table_sink(mariadb, name).check()
    assert not table_sink(mariadb, name, if_exists="skip").check()
    appending = table_sink(mariadb, name, if_exists="append")
    assert appending.check()
    appending.load(Loaded(pa.table({"B": ["z"], "A": [3]})))
    assert rows_of(mariadb) == [(1, "x"), (2, None), (3, "z")]
    replacing = table_sink(mariadb, name, if_exists="overwrite")
    assert replacing.check()
    replacing.load(Loaded(pa.table({"other": [True]})))
    assert rows_of(mariadb) == [(1,)]
    assert table_sink(mariadb, "fresh", if_exists="append").load(Loaded(ROWS)).details["rows"] == 2


def test_readers_see_the_old_table_until_they_see_the_new(mariadb: MariaDbDatabase) -> None:
    """While it is loaded, the one that is there stays as it is, whole."""
    make(mariadb, "CREATE TABLE t SELECT 'old' AS v FROM seq_1_to_3")
    seen: list[list[tuple[Any, ...]]] = []

    class Watched(Loaded):
        def __iter__(self) -> Iterator[pa.RecordBatch]:
            for batch in super().__iter__():
                seen.append(rows_of(mariadb))
                yield batch
            seen.append(rows_of(mariadb))

    new = pa.table({"v": ["new"]})
    table_sink(mariadb, if_exists="overwrite").load(Watched(new, new))
    assert seen == [[("old",)] * 3] * 3
    assert rows_of(mariadb) == [("new",)] * 2


def test_a_table_that_appears_meanwhile_is_not_replaced(mariadb: MariaDbDatabase) -> None:
    """Unless it was to be overwritten."""

    class Racing(Loaded):
        def __iter__(self) -> Iterator[pa.RecordBatch]:
            make(mariadb, "CREATE TABLE t (mine int)")
            yield from super().__iter__()

    with pytest.raises(AlreadyExists):
        table_sink(mariadb).load(Racing(ROWS))
    assert rows_of(mariadb) == []
    make(mariadb, "DROP TABLE t")
    table_sink(mariadb, if_exists="overwrite").load(Racing(ROWS))
    assert rows_of(mariadb) == [(1, "x"), (2, None)]

    class Vanishing(Loaded):
        def __iter__(self) -> Iterator[pa.RecordBatch]:
            make(mariadb, "DROP TABLE t")
            yield from super().__iter__()

    table_sink(mariadb, if_exists="overwrite").load(Vanishing(ROWS))
    assert rows_of(mariadb) == [(1, "x"), (2, None)]


@pytest.mark.parametrize(
    ("theirs", "is_joined"),
    [
        ("(a bigint, b longtext) CHARSET utf8mb4", True),
        ("(b longtext, a bigint) CHARSET utf8mb4", True),
        ("(a bigint, b longtext) CHARSET utf8mb4 ENGINE = MyISAM", False),
        ("(a bigint, b longtext) CHARSET latin1", False),
        ("(a int, b longtext) CHARSET utf8mb4", False),
        ("(a bigint)", False),
    ],
)
def test_of_two_first_appends_the_second_joins_the_first(
    mariadb: MariaDbDatabase, theirs: str, is_joined: bool
) -> None:
    """If the table that it would have created is there by then; another one is an error."""

    class Racing(Loaded):
        def __iter__(self) -> Iterator[pa.RecordBatch]:
            yield from super().__iter__()
            make(mariadb, f"CREATE TABLE t {theirs}", "INSERT INTO t (a) VALUES (7)")

    sink = table_sink(mariadb, if_exists="append")
    if is_joined:
        assert sink.load(Racing(ROWS)).details["rows"] == 2
        assert sorted(mariadb.execute("SELECT a, b FROM t")) == [(1, "x"), (2, None), (7, None)]
    else:
        with pytest.raises(SinkError, match="another table of this name appeared") as caught:
            sink.load(Racing(ROWS))
        assert caught.value.transient
        assert len(rows_of(mariadb)) == 1


def test_many_first_appends_at_once_all_arrive(mariadb: MariaDbDatabase) -> None:
    """Whichever of them creates the table."""
    together = threading.Barrier(6)

    class Racing(Loaded):
        def __iter__(self) -> Iterator[pa.RecordBatch]:
            together.wait()
            yield from super().__iter__()

    with ThreadPoolExecutor(6) as pool:
        loads = [pool.submit(table_sink(mariadb, if_exists="append").load, Racing(ROWS)) for _ in range(6)]
        assert [load.result().details["rows"] for load in loads] == [2] * 6
    assert mariadb.execute("SELECT count(*), count(DISTINCT a) FROM t") == [(12, 2)]


@pytest.mark.parametrize(
    ("made", "if_exists", "said"),
    [
        ("CREATE TABLE t (a int, b text) ENGINE = MyISAM", "append", "its engine MyISAM has no transactions"),
        ("CREATE TABLE t (a int, b text) ENGINE = Aria", "append", "its engine Aria has no transactions"),
        ("CREATE VIEW t AS SELECT 1 AS a", "append", "it is a view, not a table"),
        ("CREATE VIEW t AS SELECT 1 AS a", "overwrite", "it is a view, not a table"),
        ("CREATE TABLE t (a int)", "append", "the table has no column 'b': it has a (columns are matched by name)"),
        ("CREATE TABLE t (a int, bb text)", "append", "the table has no column 'b': did you mean 'bb'?"),
        ("CREATE TABLE t (a int, b text, c int NOT NULL)", "append", "wants a value for its column 'c'"),
        ("CREATE TABLE t (a int, b int AS (a + 1))", "append", "the table generates its column 'b' itself"),
    ],
)
def test_a_table_that_does_not_do_is_refused(mariadb: MariaDbDatabase, made: str, if_exists: str, said: str) -> None:
    """Before any row is sent, and where it can be seen, before the source is opened."""
    make(mariadb, made)
    stream = Loaded(ROWS)
    with pytest.raises(SinkError) as caught:
        table_sink(mariadb, if_exists=if_exists).load(stream)
    assert said in str(caught.value)
    assert stream.given == 0
    if "matched" not in str(caught.value):
        with pytest.raises(SinkError):
            table_sink(mariadb, if_exists=if_exists).check()


def test_a_table_that_others_refer_to_can_be_appended_to_but_not_replaced(mariadb: MariaDbDatabase) -> None:
    """Their foreign keys would go with the old one. A table that refers to itself is no such case."""
    make(
        mariadb,
        "CREATE TABLE t (a int PRIMARY KEY, b text)",
        "CREATE TABLE child (a int, FOREIGN KEY (a) REFERENCES t (a))",
        "CREATE TABLE tree (a int PRIMARY KEY, b int, FOREIGN KEY (b) REFERENCES tree (a))",
    )
    with pytest.raises(SinkError, match="foreign keys of 'child' refer to it, so it can not be replaced"):
        table_sink(mariadb, if_exists="overwrite").check()
    table_sink(mariadb, if_exists="append").load(Loaded(ROWS))
    assert len(rows_of(mariadb)) == 2
    table_sink(mariadb, "tree", if_exists="overwrite").load(Loaded(ROWS))
    make(mariadb, "DROP TABLE child")


@pytest.mark.parametrize("way", ["load data", "insert"])
def test_columns_of_other_types_are_filled_as_they_are_meant(
    mariadb: MariaDbDatabase, inserts: Callable[[], None], way: str
) -> None:
    """Bits are numbers, geometry is WKB, zero is no new AUTO_INCREMENT, text becomes numbers, defaults are taken."""
    if way == "insert":
        inserts()
    make(
        mariadb,
        "CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, b bit(9), g point, n int, d decimal(5,2), s varchar(9) "
        "CHARACTER SET latin1, t datetime, f float, z int DEFAULT 7)",
    )
    point = bytes.fromhex("0101000000000000000000f03f0000000000000040")
    rows = pa.table(
        {
            "id": [0, 5],
            "b": [257, 1],
            "g": [point, None],
            "n": ["12", None],
            "d": [1.25, 2.0],
            "s": ["é", ""],
            "t": [at(2024, 1, 1, 12), None],
            "f": [0.5, 3.0],
        }
    )
    table_sink(mariadb, if_exists="append").load(Loaded(rows))
    assert mariadb.execute("SELECT id, b + 0, ST_AsText(g), n, d, s, t, f, z FROM t ORDER BY id") == [
        (0, 257, "POINT(1 2)", 12, Decimal("1.25"), "é", at(2024, 1, 1, 12), 0.5, 7),
        (5, 1, None, None, Decimal("2.00"), "", None, 3.0, 7),
    ]


@pytest.mark.parametrize("way", ["load data", "insert"])
def test_what_only_looks_doubtful_is_loaded(mariadb: MariaDbDatabase, inserts: Callable[[], None], way: str) -> None:
    """Numbers that are the values of an ENUM, the year 0, decimals that a double is written as, all of a BINARY."""
    if way == "insert":
        inserts()
    make(mariadb, "CREATE TABLE t (e enum('2','it''s 1'), y year, d double, s double(9,2), b binary(2), f float)")
    rows = pa.table(
        {
            "e": pa.array(["2", None]).dictionary_encode(),
            "y": [0, 2024],
            "d": ["0.30000000000000004", " 1.5"],
            "s": [1.25, 100000.0],
            "b": [b"ab", None],
            "f": ["0.1", None],
        }
    )
    table_sink(mariadb, if_exists="append").load(Loaded(rows))
    assert mariadb.execute("SELECT e, y, d, s, b, f FROM t ORDER BY y") == [
        ("2", 0, 0.30000000000000004, 1.25, b"ab", 0.1),
        (None, 2024, 1.5, 100000.0, None, None),
    ]


# --- what does not fit ---

UNFIT: list[tuple[str, pa.Array, str]] = [
    ("int", pa.array([1, 2**31]), "Out of range value for column 'v' at row 2"),
    ("int unsigned", pa.array([1, -1]), "Out of range value for column 'v' at row 2"),
    ("int", pa.array(["1", "x"]), "column 'v': Failed to parse string: 'x' as a scalar of type int64"),
    ("int", pa.array(["1", "1.5"]), "column 'v': Failed to parse string: '1.5'"),
    ("int", pa.array([1.0, 1.5]), "column 'v': Float value 1.500000 was truncated converting to int64"),
    ("int", pa.array([Decimal("1.5")]), "column 'v':"),
    ("float", pa.array([0.5, 0.1]), "0.1 is not the same any more as a float, which is what the table has"),
    ("double", pa.array([2**53 + 1]), "column 'v': Integer value 9007199254740993 not in range"),
    ("double", pa.array(["1.23456789e-320"]), "1.23456789e-320 is not the same any more as a double"),
    ("decimal(5,2)", pa.array([Decimal("1.234")]), "Data truncated for column 'v' at row 1"),
    ("datetime", pa.array([at(2024, 1, 1, 0, 0, 0, 500000)]), "is finer than the table's datetime(0)"),
    ("time(3)", pa.array([dt.time(1, 2, 3, 456700)]), "is finer than the table's time(3)"),
    ("date", pa.array(["2024-02-30"]), "v"),
    ("varchar(3)", pa.array(["xyz", "long"]), "for column 'v' at row 2"),
    ("varchar(3) CHARACTER SET latin1", pa.array(["日"]), "Incorrect string value"),
    ("int NOT NULL", pa.array([1, None]), "'v'"),
    ("int PRIMARY KEY", pa.array([1, 1]), "Duplicate entry '1' for key 'PRIMARY'"),
    ("enum('a')", pa.array(["b"]), "for column 'v' at row 1"),
    ("int", pa.array(["1.5"]).dictionary_encode(), "column 'v': Failed to parse string: '1.5'"),
    ("int", pa.array([1.0, 1.5]).dictionary_encode(), "column 'v': Float value 1.500000 was truncated"),
    ("float", pa.array([0.1]).dictionary_encode(), "0.1 is not the same any more as a float"),
    ("time", pa.array([dt.time(1, 2, 3, 4)]).dictionary_encode(), "is finer than the table's time(0)"),
    ("double", pa.array(["9007199254740993"]), "9007199254740993 is not the same any more as a double"),
    ("double(10,2)", pa.array([1.25, 1.239]), "column 'v': 1.239 is rounded to 2 digits"),
    ("year", pa.array([2024, 5]), "column 'v': 5 would become a year of this century or the last"),
    ("year", pa.array(["99"]), "column 'v': 99 would become a year of this century or the last"),
    ("enum('a','b')", pa.array([1]), "column 'v': 1 is none of the values of the table's enum"),
    ("enum('a','b')", pa.array(["a", "2"]), "column 'v': 2 is none of the values of the table's enum"),
    ("set('a','b')", pa.array(["3"]), "column 'v': 3 is none of the values of the table's set"),
    ("binary(3)", pa.array([b"abc", b"ab"]), "column 'v': 2 bytes would be filled up to 3 with zeros"),
    ("json", pa.array(["{"]), ""),  # which of two messages it is depends on the way
]


@pytest.mark.parametrize("way", ["load data", "insert"])
def test_what_does_not_fit_the_table_is_an_error_and_nothing_is_loaded(
    mariadb: MariaDbDatabase, inserts: Callable[[], None], way: str
) -> None:
    """Neither cut nor rounded nor left out, although LOAD DATA LOCAL only warns; rows before it are taken back."""
    if way == "insert":
        inserts()
    for declared, values, said in UNFIT:
        make(mariadb, "DROP TABLE IF EXISTS t", f"CREATE TABLE t (v {declared}, w int)")
        with pytest.raises(SinkError) as caught:
            table_sink(mariadb, if_exists="append").load(Loaded(pa.table({"v": values})))
        assert said in str(caught.value), declared
        assert rows_of(mariadb) == []


def test_rows_are_numbered_from_the_first_of_all(mariadb: MariaDbDatabase) -> None:
    """And those before the one that does not fit are taken back."""
    make(mariadb, "CREATE TABLE t (v tinyint)")
    good, bad = pa.table({"v": [1] * 1000}), pa.table({"v": [1, 1000]})
    with pytest.raises(SinkError, match="Out of range value for column 'v' at row 2002"):
        table_sink(mariadb, if_exists="append").load(Loaded(good, good, bad))
    assert rows_of(mariadb) == []


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (pa.array([float("nan")]), "column 'v': NaN or an infinity, which MySQL does not have (make it text, or NULL"),
        (pa.array([dt.timedelta(hours=839)]), "column 'v': a duration beyond 838:59:59"),
        (pa.array([1], pa.timestamp("ns")), "column 'v': Casting from timestamp[ns] to timestamp[us] would lose data"),
        (pa.array([dt.datetime(2300, 1, 1, tzinfo=dt.UTC)]), "Out of range value for column 'v' at row 1"),
        (pa.array([-(2**60)], pa.timestamp("us")), "Data truncated for column 'v' at row 1"),
    ],
)
def test_what_no_type_of_mysql_holds_is_an_error(mariadb: MariaDbDatabase, values: pa.Array, said: str) -> None:
    """And there is no table afterwards."""
    with pytest.raises(SinkError) as caught:
        table_sink(mariadb).load(Loaded(pa.table({"v": values})))
    assert said in str(caught.value)
    assert mariadb.tables() == []


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_names_that_can_not_be_are_refused(mariadb: MariaDbDatabase, name: str) -> None:
    """Of tables and of columns, in one line."""
    with pytest.raises((ConfigurationError, SinkError), match=r"is no name in MySQL|NUL character in the name"):
        table_sink(mariadb, name).check()
    if name != "\ud800":  # of which Arrow makes no name
        with pytest.raises(SinkError, match="is no name in MySQL"):
            table_sink(mariadb).load(Loaded(pa.table({name: [1]})))


def test_a_schema_that_no_table_can_have_is_refused(mariadb: MariaDbDatabase) -> None:
    """No columns, one name twice in whatever case, a type there is nothing like."""
    for schema, said in (
        (pa.schema([]), "there are no columns"),
        (pa.schema([("a", pa.int8()), ("A", pa.int8())]), "two columns are called 'a'"),
        (pa.schema([("v", pa.month_day_nano_interval())]), "column 'v': MySQL has no type for month_day_nano_interval"),
    ):
        with pytest.raises(SinkError) as caught:
            table_sink(mariadb).load(Loaded(schema))
        assert said in str(caught.value)


# --- nothing stays behind ---


@pytest.mark.parametrize("if_exists", ["overwrite", "append"])
@pytest.mark.parametrize("error", [Fails("the source broke"), KeyboardInterrupt()])
def test_an_error_of_the_stream_leaves_the_table_as_it_was(
    mariadb: MariaDbDatabase, if_exists: str, error: BaseException
) -> None:
    """It comes out as it is, and no other table stays."""
    make(mariadb, "CREATE TABLE t (a bigint, b text)", "INSERT INTO t VALUES (7, 'old')")
    with pytest.raises(type(error)) as caught:
        table_sink(mariadb, if_exists=if_exists).load(Loaded(ROWS, ROWS, error))
    assert caught.value is error
    assert rows_of(mariadb) == [(7, "old")]
    assert mariadb.tables() == ["t"]


def test_a_cancel_while_waiting_for_the_stream(mariadb: MariaDbDatabase) -> None:
    """A batch is in, the next does not come; afterwards there is neither table nor session."""
    reached = threading.Event()

    class Stalling(Loaded):
        def __iter__(self) -> Iterator[pa.RecordBatch]:
            yield from super().__iter__()
            reached.set()
            penstock.sleep(600)

    call = Cancellable(lambda: table_sink(mariadb).load(Stalling(ROWS)))
    assert reached.wait(30)
    assert call.cancel() < 0.5
    assert mariadb.tables() == []
    assert mariadb.sessions() == []


def test_a_cancel_while_the_server_waits_for_a_lock(mariadb: MariaDbDatabase) -> None:
    """In the middle of a statement: it is killed, and what it did is taken back."""
    make(mariadb, "CREATE TABLE t (a bigint PRIMARY KEY, b text)", "INSERT INTO t VALUES (2, 'old')")
    with closing(mariadb.connect()) as other, other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT * FROM t WHERE a = 2 FOR UPDATE")
        call = Cancellable(lambda: table_sink(mariadb, if_exists="append").load(Loaded(ROWS)))
        wait_until(lambda: any("LOAD DATA" in text for text in running(mariadb)))
        assert call.cancel() < 0.5
        assert running(mariadb) == []
        cursor.execute("COMMIT")
    assert rows_of(mariadb) == [(2, "old")]


def test_a_cancel_while_the_new_table_waits_to_take_its_place(mariadb: MariaDbDatabase) -> None:
    """Somebody holds on to the old one: it stays, and the new one goes."""
    make(mariadb, "CREATE TABLE t (v int)", "INSERT INTO t VALUES (1)")
    with closing(mariadb.connect()) as other, other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT * FROM t")
        call = Cancellable(lambda: table_sink(mariadb, if_exists="overwrite").load(Loaded(ROWS)))
        wait_until(lambda: any("RENAME" in text for text in running(mariadb)))
        assert call.cancel() < 0.5
        cursor.execute("COMMIT")
    assert mariadb.tables() == ["t"]
    assert rows_of(mariadb) == [(1,)]


def test_a_cancelled_scope_makes_nothing(mariadb: MariaDbDatabase) -> None:
    """Neither looking nor loading."""
    cancelled_at_once(lambda: table_sink(mariadb).check())
    cancelled_at_once(lambda: table_sink(mariadb).load(Loaded(ROWS)))
    assert mariadb.tables() == []


def test_a_cancel_at_the_end_of_the_stream_publishes_nothing(mariadb: MariaDbDatabase) -> None:
    """All rows are in, but it was called off before they were shown."""
    with CancelScope() as scope:

        class Last(Loaded):
            def __iter__(self) -> Iterator[pa.RecordBatch]:
                yield from super().__iter__()
                scope.cancel()

        table_sink(mariadb).load(Last(ROWS))
    assert scope.cancelled_caught
    assert mariadb.tables() == []


def test_a_server_that_dies_half_way_is_an_error(mariadb: MariaDbDatabase) -> None:
    """What was loaded until then is taken away over another connection."""

    class Killing(Loaded):
        def __iter__(self) -> Iterator[pa.RecordBatch]:
            for batch in super().__iter__():
                yield batch
                mariadb.kill_sessions()

    before = open_descriptors()
    with pytest.raises(SinkError, match=r"connection was lost|killed") as caught:
        table_sink(mariadb).load(Killing(ROWS, ROWS, ROWS))
    assert caught.value.transient
    assert mariadb.tables() == []
    assert open_descriptors() == before


def test_a_table_that_can_not_be_dropped_is_named(mariadb: MariaDbDatabase, mariadb_server: MariaDbServer) -> None:
    """When even the second connection fails, the error says what to clean up, and holds no password."""

    class LockedOut(Loaded):
        def __iter__(self) -> Iterator[pa.RecordBatch]:
            yield from super().__iter__()
            mariadb_server.maintenance.execute(f"ALTER USER {mariadb.user}@'%' ACCOUNT LOCK")
            raise Fails("the source broke")

    with pytest.raises(Fails) as caught:
        table_sink(mariadb).load(LockedOut(ROWS))
    mariadb_server.maintenance.execute(f"ALTER USER {mariadb.user}@'%' ACCOUNT UNLOCK")
    (note,) = caught.value.__notes__
    (left,) = mariadb.tables()
    assert f"`{left}` may have been left behind, drop it:" in note
    assert mariadb.password not in "".join(traceback.format_exception(caught.value))
    make(mariadb, f"DROP TABLE {left}")


# --- failures ---


def test_who_may_not_is_told_so(mariadb: MariaDbDatabase, mariadb_server: MariaDbServer) -> None:
    """Wrong password, absent database, no right to create; no password in any of it."""
    wrong = re.sub(r":[^:@]*@", f":{SECRET}@", mariadb.uri)
    absent = re.sub(r"/[^/]*$", "/absent", mariadb.uri)
    for uri, said in ((wrong, "check user and password"), (absent, "Access denied")):
        with pytest.raises(SinkError, match=said) as caught:
            table_sink(mariadb, uri=uri).check()
        shown = "".join(traceback.format_exception(caught.value))
        assert SECRET not in shown
        assert mariadb.password not in shown
    mariadb_server.maintenance.execute(f"REVOKE CREATE ON {mariadb.name}.* FROM {mariadb.user}@'%'")
    with pytest.raises(SinkError, match=r"CREATE command denied.*ask the administrator"):
        table_sink(mariadb).load(Loaded(ROWS))


def test_what_makes_no_sense_is_refused_before_connecting() -> None:
    """Options it has not, and a method, which is HTTP's."""
    from penstock import connectors, formats

    for options in ({"options": {"nonsense": 1}}, {"method": "PUT"}):
        with pytest.raises(ConfigurationError):
            connectors.open_sink(
                connectors.SinkRequest(uri="mysql://u@nowhere.invalid/x", formats=formats, table="t", **options)
            )  # type: ignore[arg-type]


def test_a_whole_copy_from_one_table_to_another(mariadb: MariaDbDatabase, tmp_path: Path) -> None:
    """Through the front door: table to table, table to CSV, and CSV back into a table with types."""
    make(
        mariadb, "CREATE TABLE t (i int, d decimal(9,2), s text)", "INSERT INTO t VALUES (1, 1.10, ''), (2, NULL, NULL)"
    )
    report = penstock.copy(mariadb.uri, mariadb.uri, table="t", to_table="u")
    assert report.rows == 2
    assert rows_of(mariadb, "u") == [(1, Decimal("1.10"), ""), (2, None, None)]
    penstock.copy(mariadb.uri, tmp_path / "t.csv", table="t")
    assert (tmp_path / "t.csv").read_text() == 'i,d,s\n1,1.10,""\n2,,\n'
    penstock.copy(tmp_path / "t.csv", mariadb.uri, to_table="t", if_exists="append")
    assert rows_of(mariadb) == [(1, Decimal("1.10"), ""), (2, None, None)] * 2
