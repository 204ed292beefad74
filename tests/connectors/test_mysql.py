"""MySQL and MariaDB, for reading: every value exactly, every failure named."""

from __future__ import annotations

import datetime as dt
import io
import re
import socket
import traceback
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from penstock import formats
from penstock.connectors import mysql
from penstock.errors import BudgetExceeded, ConfigurationError, SourceError
from penstock.flow.contracts import Describable, Source
from penstock.flow.losses import Losses
from tests.connectors.mysql_parts import make, query
from tests.connectors.parts import SECRET, read_rows, read_table, source_of
from tests.formats.streams import Collected, Table

if TYPE_CHECKING:
    from tests.servers.mariadb import MariaDbDatabase, MariaDbServer


pytestmark = pytest.mark.usefixtures("mysql_alone")


# --- values ---

NUMBERS: dict[str, tuple[str, str, pa.DataType, list[Any]]] = {
    # name: declared, values, Arrow type, what is read
    "i1": ("tinyint", "-128, 127", pa.int8(), [-128, 127]),
    "u1": ("tinyint unsigned", "0, 255", pa.uint8(), [0, 255]),
    "i2": ("smallint", "-32768, 32767", pa.int16(), [-32768, 32767]),
    "u2": ("smallint unsigned", "0, 65535", pa.uint16(), [0, 65535]),
    "i3": ("mediumint", "-8388608, 8388607", pa.int32(), [-8388608, 8388607]),
    "u3": ("mediumint unsigned", "0, 16777215", pa.uint32(), [0, 16777215]),
    "i4": ("int", "-2147483648, 2147483647", pa.int32(), [-(2**31), 2**31 - 1]),
    "u4": ("int unsigned zerofill", "0, 4294967295", pa.uint32(), [0, 2**32 - 1]),
    "i8": ("bigint", "-9223372036854775808, 9223372036854775807", pa.int64(), [-(2**63), 2**63 - 1]),
    "u8": ("bigint unsigned", "0, 18446744073709551615", pa.uint64(), [0, 2**64 - 1]),
    "f4": ("float", "16777217, -1.17549435e-38", pa.float32(), [16777216.0, -1.1754943508222875e-38]),
    "f8": ("double", "0.1, -1.7976931348623157e308", pa.float64(), [0.1, -1.7976931348623157e308]),
    "d1": ("decimal(10,2)", "-99999999.99, 0.01", pa.decimal128(10, 2), [Decimal("-99999999.99"), Decimal("0.01")]),
    "d2": ("decimal(38,0)", f"{'9' * 38}, -1", pa.decimal128(38, 0), [Decimal("9" * 38), Decimal(-1)]),
    "d3": (
        "decimal(65,30)",
        f"-{'9' * 35}.{'9' * 30}, 0",
        pa.decimal256(65, 30),
        [Decimal(f"-{'9' * 35}.{'9' * 30}"), Decimal("0E-30")],
    ),
    "d4": ("decimal(5,5) unsigned", "0.99999, 0", pa.decimal128(5, 5), [Decimal("0.99999"), Decimal("0E-5")]),
    "b1": ("bit(1)", "b'1', b'0'", pa.bool_(), [True, False]),
    "b9": ("bit(9)", "b'100000001', b'0'", pa.uint64(), [257, 0]),
    "b64": ("bit(64)", f"b'{'1' * 64}', b'1'", pa.uint64(), [2**64 - 1, 1]),
    "y": ("year", "2155, 0", pa.uint16(), [2155, 0]),
}


def test_every_number_has_its_type_and_all_its_digits(mariadb: MariaDbDatabase) -> None:
    """Signed and unsigned to their limits, floats to their last bit, decimals of 65 digits; NULL everywhere."""
    columns = ", ".join(f"{name} {declared}" for name, (declared, *_) in NUMBERS.items())
    first, second = zip(*(values.split(", ") for _, values, *_ in NUMBERS.values()), strict=True)
    nulls = ", ".join(["NULL"] * len(NUMBERS))
    make(mariadb, f"CREATE TABLE t ({columns})", f"INSERT INTO t VALUES ({', '.join(first)}), ({nulls})")
    make(mariadb, f"INSERT INTO t VALUES ({', '.join(second)})")
    table = read_table(source_of(mariadb.uri, table="t"))
    for name, (_declared, _values, kind, expected) in NUMBERS.items():
        assert (name, table[name].type) == (name, kind)
        assert (name, table[name].to_pylist()) == (name, [expected[0], None, expected[1]])


def test_every_date_and_time_is_exact(mariadb: MariaDbDatabase) -> None:
    """To the microsecond, from the year 1 to 9999; a TIME keeps its sign and its hours beyond a day."""
    make(
        mariadb,
        "CREATE TABLE t (d date, a datetime, b datetime(6), c timestamp(3) NULL, e time, f time(6))",
        "INSERT INTO t VALUES ('0001-01-01', '1000-01-01', '9999-12-31 23:59:59.999999', '2024-02-29 03:04:05.678', "
        "'838:59:59', '-00:00:00.000001')",
        "INSERT INTO t VALUES ('9999-12-31', '2024-02-29 12:00:00', '1969-12-31 23:59:59.999999', "
        "'1970-01-01 00:00:01', '-100:00:01', '08:30:00')",
        "INSERT INTO t VALUES (NULL, NULL, NULL, NULL, NULL, NULL)",
    )
    table = read_table(source_of(mariadb.uri, table="t"))
    assert table.schema.types == [
        pa.date32(),
        pa.timestamp("us"),
        pa.timestamp("us"),
        pa.timestamp("us", "UTC"),
        pa.string(),
        pa.string(),
    ]
    at = dt.datetime
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        (
            dt.date(1, 1, 1),
            at(1000, 1, 1),
            at(9999, 12, 31, 23, 59, 59, 999999),
            at(2024, 2, 29, 3, 4, 5, 678000, dt.UTC),
            "838:59:59",
            "-00:00:00.000001",
        ),
        (
            dt.date(9999, 12, 31),
            at(2024, 2, 29, 12),
            at(1969, 12, 31, 23, 59, 59, 999999),
            at(1970, 1, 1, 0, 0, 1, 0, dt.UTC),
            "-100:00:01",
            "08:30:00.000000",
        ),
        (None,) * 6,
    ]


@given(st.datetimes(), st.timedeltas(dt.timedelta(hours=-838, minutes=-59), dt.timedelta(hours=838, minutes=59)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
def test_any_instant_comes_through(mariadb: MariaDbDatabase, instant: dt.datetime, time: dt.timedelta) -> None:
    """Also where the server leaves out what is zero."""
    sign, micros = "-" if time < dt.timedelta(0) else "", abs(time) // dt.timedelta(microseconds=1)
    clock = f"{sign}{micros // 3_600_000_000:02}:{micros // 60_000_000 % 60:02}:{micros // 1_000_000 % 60:02}"
    clock += f".{micros % 1_000_000:06}"
    text = f"SELECT CAST('{instant.isoformat()}' AS datetime(6)) t, CAST('{instant.date()}' AS date) d, CAST('{clock}' AS time(6)) c"
    assert read_rows(query(mariadb, text)) == [{"t": instant, "d": instant.date(), "c": clock}]


def test_strings_and_bytes_come_as_they_are(mariadb: MariaDbDatabase) -> None:
    """Text of any character set, bytes, JSON, enumerations, geometry, UUIDs; NULL is not the empty string."""
    make(
        mariadb,
        "CREATE TABLE t (a varchar(9) CHARACTER SET latin1, b text CHARACTER SET utf16, c char(3), e enum('', 'x'), "
        "s set('a', 'b'), j json, x binary(3), y varbinary(9), z longblob, u uuid, i inet6, g geometry, h point)",
        """INSERT INTO t VALUES ('é', '日本😀', 'x ', '', 'a,b', '{"a" :  1.0}', x'00ff', x'00ff', '', """
        "'123E4567-e89b-12d3-a456-426655440000', '::1', ST_GeomFromText('POINT(1 2)', 4326), ST_GeomFromText('POINT(1 2)'))",
        f"INSERT INTO t VALUES ({', '.join(['NULL'] * 13)})",
    )
    row, nulls = read_rows(source_of(mariadb.uri, table="t"))
    point = bytes.fromhex("000000000000f03f0000000000000040")
    assert row == {
        "a": "é",
        "b": "日本😀",
        "c": "x",
        "e": "",
        "s": "a,b",
        "j": '{"a" :  1.0}',
        "x": b"\0\xff\0",
        "y": b"\0\xff",
        "z": b"",
        "u": "123e4567-e89b-12d3-a456-426655440000",
        "i": "::1",
        "g": bytes.fromhex("0101000020e6100000") + point,
        "h": bytes.fromhex("0101000000") + point,
    }
    assert set(nulls.values()) == {None}


@given(
    st.lists(
        st.tuples(
            st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
            st.none() | st.binary(max_size=300),
            st.none() | st.integers(-(2**63), 2**63 - 1),
        ),
        min_size=1,
        max_size=20,
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
def test_any_rows_come_through(
    mariadb: MariaDbDatabase, rows: list[tuple[str | None, bytes | None, int | None]]
) -> None:
    """Whatever is NULL in which row, and however long: every cursor over the rows ends where the next begins."""

    def select(text: str | None, data: bytes | None, number: int | None) -> str:
        shown = "NULL" if text is None else f"CONVERT(x'{text.encode().hex()}' USING utf8mb4)"
        return f"SELECT {shown}, {'NULL' if data is None else literal(data)}, {'NULL' if number is None else number}, 1"

    def literal(data: bytes) -> str:
        return f"x'{data.hex()}'"

    source = query(mariadb, " UNION ALL ".join(select(*row) for row in rows), batch_bytes=1000)
    assert [tuple(row.values()) for row in read_rows_by_position(source)] == [(*row, 1) for row in rows]


def read_rows_by_position(source: Source) -> list[dict[str, Any]]:
    table = read_table(source)
    rows: list[dict[str, Any]] = table.rename_columns([str(index) for index in range(table.num_columns)]).to_pylist()
    return rows


@pytest.mark.parametrize("length", [250, 251, 65535, 65536, (1 << 24) - 30, 1 << 24, (1 << 25) + 5])
def test_strings_of_any_length_come_through(mariadb: MariaDbDatabase, length: int) -> None:
    """Around every length at which the protocol writes it differently, and rows that go over several packets."""
    text = f"SELECT 1 a, repeat('x', {length}) s, -1 b UNION ALL SELECT 2, 'y', -2 UNION ALL SELECT 3, repeat('z', {length}), NULL"
    table = read_table(query(mariadb, text, batch_bytes=1 << 20))
    assert table["a"].to_pylist() == [1, 2, 3]
    assert table["b"].to_pylist() == [-1, -2, None]
    assert [len(value) for value in table["s"].to_pylist()] == [length, 1, length]
    assert table["s"][0].as_py() == "x" * length


def test_a_row_beyond_the_memory_there_is_is_refused(mariadb: MariaDbDatabase) -> None:
    """With its number, and the columns that may be why; before it is held whole."""
    text = "SELECT seq n, repeat('x', if(seq = 3, 35000000, 1)) long_one, 'x' s FROM seq_1_to_5"
    with pytest.raises(
        BudgetExceeded, match=r"^mysql://.*: row 3 is longer than 32.0 MiB, .* in 'long_one' \(raise max_m"
    ):
        read_table(query(mariadb, text, max_row_bytes=32 << 20))


def test_thousands_of_columns_and_no_row(mariadb: MariaDbDatabase) -> None:
    """As many as MySQL allows, with NULLs all over; and an empty result has its columns and types."""
    names = [f"c{index}" for index in range(4000)]
    selected = ", ".join(f"{index if index % 3 else 'NULL'} AS c{index}" for index in range(4000))
    table = read_table(query(mariadb, f"SELECT {selected} UNION ALL SELECT {selected}"))
    assert table.schema.names == names
    assert table.to_pylist()[1] == {f"c{index}": index if index % 3 else None for index in range(4000)}
    empty = read_table(query(mariadb, "SELECT 1 AS a, 'x' AS b, x'00' AS c, NULL AS n, 1.5 AS a LIMIT 0"))
    assert empty.num_rows == 0
    assert empty.schema.names == ["a", "b", "c", "n", "a"]
    assert empty.schema.types == [pa.int32(), pa.string(), pa.binary(), pa.string(), pa.decimal128(2, 1)]


def test_batches_are_bounded_in_bytes(mariadb: MariaDbDatabase) -> None:
    """Whether rows are wide as they come, or only in Arrow, where a NULL takes room as well."""
    wide = "SELECT repeat('x', 50000) s FROM seq_1_to_100"
    nulls = "SELECT " + ", ".join(f"CAST(nullif(seq, seq) AS decimal(60)) c{index}" for index in range(50))
    for text, rows in ((wide, 100), (f"{nulls} FROM seq_1_to_5000", 5000)):
        with query(mariadb, text, batch_bytes=500_000).open_batches() as batches:
            sizes = [(batch.num_rows, batch.nbytes) for batch in batches]
        assert sum(count for count, _ in sizes) == rows
        assert max(size for _, size in sizes) < 550_000


def test_columns_where_and_limit_narrow_a_table_or_query(mariadb: MariaDbDatabase) -> None:
    """A table may have its database in front; a query may end in a semicolon or a comment."""
    make(
        mariadb,
        'CREATE TABLE `odd ``"name` (a int, `B b` int)',
        'INSERT INTO `odd ``"name` VALUES (1, 2), (3, 4), (5, 6)',
    )
    narrow = {"columns": ["B b", "a"], "where": "a > 1", "limit": 1}
    for request in (
        {"table": 'odd `"name'},
        {"table": f'{mariadb.name}.odd `"name'},
        {"query": 'SELECT * FROM `odd ``"name`; '},
    ):
        assert read_rows(source_of(mariadb.uri, **request, **narrow)) == [{"B b": 4, "a": 3}]
    assert read_rows(query(mariadb, "SELECT 1 AS a -- the one\n", limit=5)) == [{"a": 1}]


def test_rows_are_counted(mariadb: MariaDbDatabase) -> None:
    """None before, all of them after."""
    source = query(mariadb, "SELECT seq FROM seq_1_to_12345", batch_bytes=10_000)
    assert source.rows_read is None
    read_table(source)
    assert source.rows_read == 12345


def test_settings_of_the_server_make_no_difference(mariadb: MariaDbDatabase, mariadb_server: MariaDbServer) -> None:
    """A TIMESTAMP is the same instant whatever the server's time zone; quotes mean what they mean here."""
    make(mariadb, "CREATE TABLE `a b` (t timestamp)", "INSERT INTO `a b` VALUES ('2024-01-02 03:04:05')")
    before = mariadb_server.maintenance.execute("SELECT @@global.time_zone, @@global.sql_mode")[0]
    mariadb_server.maintenance.execute("SET GLOBAL time_zone = '+09:00', sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'")
    try:
        rows = read_rows(source_of(mariadb.uri, table="a b", columns=["t"], where="t < '2024-01-02 03:04:06'"))
    finally:
        zone, mode = before
        mariadb_server.maintenance.execute(f"SET GLOBAL time_zone = '{zone}', sql_mode = '{mode}'")
    assert rows == [{"t": dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=dt.UTC)}]


def test_formats_write_what_was_read(mariadb: MariaDbDatabase) -> None:
    """Every type passes through CSV and NDJSON; reading the CSV again gives the same rows."""
    text = "SELECT seq i, seq / 7 d, seq / 7.0e0 f, now(6) + INTERVAL seq SECOND t, md5(seq) s, unhex(md5(seq)) x, CAST(seq AS time) c FROM seq_1_to_1000"
    direct = read_table(query(mariadb, text))
    out = Collected()
    formats.format_by_name("csv").encode(Table(direct), out)
    with formats.format_by_name("csv").decode(io.BytesIO(bytes(out)), direct.schema) as batches:
        assert pa.Table.from_batches(list(batches)).equals(direct.combine_chunks())
    out = Collected()
    formats.format_by_name("ndjson").encode(Table(direct), out)
    assert bytes(out).startswith(b'{"i":1,"d":0.1429,"f":0.14285714285714285,')


# --- type loss ---

NO_DATES = (
    "CREATE TABLE t (n int, d date, t datetime(3), ok date)",
    "INSERT INTO t VALUES (1, '2024-01-01', NULL, NULL), (2, '0000-00-00', '0000-00-00 00:00:00', NULL)",
    "INSERT INTO t VALUES (3, '2024-02-31', '2023-02-29 01:02:03.456', NULL), (4, '2024-12-00', NULL, '2024-01-01')",
)


def test_a_date_that_does_not_exist_is_an_error(mariadb: MariaDbDatabase) -> None:
    """Which names column, row and value, and says what to do."""
    make(mariadb, *NO_DATES)
    with pytest.raises(SourceError) as caught:
        read_table(source_of(mariadb.uri, table="t"))
    assert "column 'd' is read as date32[day], but row 2 holds '0000-00-00', which no calendar has" in str(caught.value)
    assert "(on_type_loss may be warn, and it becomes NULL, or text, and such columns are text)" in str(caught.value)
    text = "SELECT if(n = 2, NULL, t) t FROM t ORDER BY n"
    for batch_bytes in (1, 1 << 20):  # rows are counted from the first of all
        with pytest.raises(SourceError, match=r"column 't'.* row 3 holds '2023-02-29 01:02:03.456'"):
            read_table(query(mariadb, text, batch_bytes=batch_bytes))


def test_with_warn_it_becomes_null_and_is_counted(mariadb: MariaDbDatabase, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing else does."""
    make(mariadb, *NO_DATES)
    losses = Losses()
    rows = read_rows(source_of(mariadb.uri, table="t", on_type_loss="warn", losses=losses))
    assert [(row["d"], row["t"]) for row in rows] == [
        (dt.date(2024, 1, 1), None),
        (None, None),
        (None, None),
        (None, None),
    ]
    assert rows[3]["ok"] == dt.date(2024, 1, 1)
    assert [(loss.column, loss.count) for loss in losses.told()] == [("d", 3), ("t", 2)]
    assert "'d'" in caplog.text


def test_with_text_it_is_as_the_server_writes_it(mariadb: MariaDbDatabase) -> None:
    """And so is the whole column, also where every date exists."""
    make(mariadb, *NO_DATES)
    table = read_table(source_of(mariadb.uri, table="t", on_type_loss="text"))
    assert table.schema.types == [pa.int32(), pa.string(), pa.string(), pa.string()]
    assert table["d"].to_pylist() == ["2024-01-01", "0000-00-00", "2024-02-31", "2024-12-00"]
    assert table["t"].to_pylist() == [None, "0000-00-00 00:00:00.000", "2023-02-29 01:02:03.456", None]
    assert table["ok"].to_pylist() == [None, None, None, "2024-01-01"]


# --- what it says of itself ---


def test_a_table_is_described_without_reading_it(mariadb: MariaDbDatabase) -> None:
    """Source and Arrow types, the snapshot, how many rows there may be."""
    make(
        mariadb,
        "CREATE TABLE t (i int unsigned, d decimal(12,2), s varchar(30), x tinyblob, t timestamp(3), e enum('a'), b bit(3), l longtext)",
        "INSERT INTO t (i) SELECT seq FROM seq_1_to_1000",
        "ANALYZE TABLE t",
    )
    source = source_of(mariadb.uri, table="t")
    assert isinstance(source, Describable)
    described = source.describe("csv")
    assert [(column.source_type, column.arrow_type) for column in described.columns] == [
        ("int unsigned", "uint32"),
        ("decimal(12,2)", "decimal128(12, 2)"),
        ("varchar(30)", "string"),
        ("tinyblob", "binary"),
        ("timestamp(3)", "timestamp[us, tz=UTC]"),
        ("enum", "string"),
        ("bit(3)", "uint64"),
        ("longtext", "string"),
    ]
    assert "SNAPSHOT" in described.consistency
    assert 900 <= (described.estimated_rows or 0) <= 1100
    assert source_of(mariadb.uri, table="t", limit=10).describe(None).estimated_rows == 10  # type: ignore[attr-defined]
    assert query(mariadb, "SELECT i FROM t").describe(None).estimated_rows >= 900  # type: ignore[attr-defined]
    assert query(mariadb, "SELECT sleep(600)").describe(None).estimated_rows is None  # type: ignore[attr-defined]


def test_the_tables_of_types_are_whole() -> None:
    """Each row says something in every place but the note."""
    for row in mysql.TYPE_TABLE:
        assert all((row.source, row.arrow, row.csv, row.json))
    assert all(arrow and created for arrow, created in mysql.LOAD_TABLE)


def test_reading_is_one_snapshot(mariadb: MariaDbDatabase) -> None:
    """Rows that others add or change while the reader is at work are not seen."""
    make(mariadb, "CREATE TABLE t ENGINE = InnoDB SELECT seq i, repeat('x', 1000) s FROM seq_1_to_20000")
    with source_of(mariadb.uri, table="t", batch_bytes=100_000).open_batches() as batches:
        stream = iter(batches)
        rows = next(stream).num_rows
        make(mariadb, "DELETE FROM t WHERE i > 10")
        rows += sum(batch.num_rows for batch in stream)
    assert rows == 20000


def test_the_session_is_kept_open_for_a_slow_sink(mariadb: MariaDbDatabase) -> None:
    """The server would hang up after a minute of our not reading; here it waits for days."""
    rows = read_rows(query(mariadb, "SELECT @@net_write_timeout w, @@wait_timeout i"))
    assert rows == [{"w": 604800, "i": 604800}]


# --- failures ---


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"table": "evnts"}, "evnts' doesn't exist (did you mean 'events'?)"),
        ({"table": "zzzzzzzz"}, "zzzzzzzz' doesn't exist (there are events, things)"),
        ({"query": "SELECT * FROM evnts"}, "did you mean 'events'?"),
        ({"table": "events", "columns": ["nope"]}, "events: no column 'nope' (there are id)"),
        ({"table": "events", "columns": ["id", "ids"]}, "no column 'ids' (did you mean 'id'?)"),
        ({"query": "SELECT 1 AS one", "columns": ["on"]}, "no column 'on' (did you mean 'one'?)"),
        ({"table": "events", "columns": ["id"], "where": "nope = 1"}, "Unknown column 'nope'"),
        ({"query": "SELEC 1"}, "(is it one SELECT, as this server writes it?)"),
        ({"query": "SELECT 1; SELECT 2"}, "(is it one SELECT, as this server writes it?)"),
        ({"query": "DELETE FROM events"}, "READ ONLY transaction (sources are only read)"),
        ({"query": "SET @a = 1"}, "the query returns no columns (use a SELECT)"),
        ({"query": "INSERT INTO events VALUES (1) RETURNING id"}, "READ ONLY transaction (sources are only read)"),
        ({"query": "SELECT ? AS a"}, "the query has parameters, and nothing to put there (write the values out)"),
        ({"query": "SELECT * FROM mysql.user"}, "denied"),
        ({"query": "SELECT exp(if(seq = 9000, 9999, 1)) e FROM seq_1_to_10000"}, "DOUBLE value is out of range"),
    ],
)
def test_what_the_server_refuses_is_said_clearly(
    mariadb: MariaDbDatabase, request_: dict[str, object], said: str
) -> None:
    """One line: where, what, what to do; the password in none of it; and nothing was written."""
    make(mariadb, "CREATE TABLE events (id int)", "CREATE TABLE things (id int)")
    with pytest.raises(SourceError) as caught:
        read_table(source_of(mariadb.uri, **request_))
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"mysql://{mariadb.user}:***@127.0.0.1:{mariadb.port}/{mariadb.name}")
    assert "\n" not in str(caught.value)
    assert mariadb.password not in "".join(traceback.format_exception(caught.value))
    assert mariadb.execute("SELECT count(*) FROM events") == [(0,)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SELECT repeat('x', seq * 60000000) s FROM seq_1_to_2", "SET GLOBAL max_allowed_packet = 1073741824 lets it"),
        (
            "SELECT group_concat(seq SEPARATOR 'xxxxxxxxxxxxxxxxxxxxx') s FROM seq_1_to_100000",
            "raise group_concat_max_len",
        ),
    ],
)
def test_a_value_that_the_server_cuts_is_an_error(mariadb: MariaDbDatabase, text: str, said: str) -> None:
    """It only warns, and sends NULL, or the beginning."""
    with pytest.raises(SourceError, match=said):
        read_table(query(mariadb, text))


def test_a_failure_half_way_is_an_error_after_what_came_before(mariadb: MariaDbDatabase) -> None:
    """Rows that were sent are not taken for all of them."""
    source = query(mariadb, "SELECT exp(if(seq = 200000, 9999, 1)) e FROM seq_1_to_300000", batch_bytes=100_000)
    rows = 0
    with pytest.raises(SourceError, match="out of range"), source.open_batches() as batches:
        for batch in batches:
            rows += batch.num_rows
    assert rows > 100_000


def test_a_server_that_dies_half_way_is_an_error(mariadb: MariaDbDatabase) -> None:
    """The end of the connection is not the end of the data."""
    with pytest.raises(SourceError, match=r"connection was lost|Connection was killed|interrupted") as caught:
        with query(mariadb, "SELECT seq FROM seq_1_to_100000000").open_batches() as batches:
            stream = iter(batches)
            next(stream)
            mariadb.kill_sessions()
            for _ in stream:
                pass
    assert caught.value.transient


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda uri: re.sub(r":[^:@]*@", f":{SECRET}@", uri), "Access denied for user"),
        (
            lambda uri: re.sub(r"//[^@]*@", f"//nobody:{SECRET}@", uri),
            "(check user and password: in the address, MYSQL_PWD",
        ),
        (lambda uri: re.sub(r"/[^/]*$", "/absent", uri), "Access denied for user"),
        (lambda uri: re.sub(r":\d+/", ":1/", uri), "connection refused (are host and port right"),
        (lambda uri: uri.replace("127.0.0.1", "nowhere.invalid"), "unknown host"),
        (lambda uri: uri + "?unix_socket=/absent/socket", "no server at this socket"),
        (lambda uri: uri + "?ssl=true", "TLS: the server does not offer it (?ssl-mode=disabled goes"),
        (lambda uri: uri + "?ssl-mode=required", "TLS: the server does not offer it"),
        (lambda uri: uri + "?ssl-mode=verify-ca&ssl-ca=/absent.pem", "a file of ssl-ca, ssl-cert or ssl-key"),
    ],
)
def test_who_can_not_connect_is_told_why(mariadb: MariaDbDatabase, change: object, said: str) -> None:
    """Each of the usual mistakes, with what to check, and no password."""
    uri = change(mariadb.uri)  # type: ignore[operator]
    with pytest.raises(SourceError) as caught:
        read_table(source_of(uri, query="SELECT 1"))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    shown = "".join(traceback.format_exception(caught.value))
    assert SECRET not in shown
    assert mariadb.password not in shown


def test_a_unix_socket_and_the_other_scheme(mariadb: MariaDbDatabase, mariadb_server: MariaDbServer) -> None:
    """``mariadb://`` is the same, and so is a socket of this machine."""
    uri = mariadb.uri.replace("mysql://", "mariadb://")
    assert read_rows(source_of(uri, query="SELECT 1 o")) == [{"o": 1}]
    assert read_rows(source_of(f"{uri}?unix_socket={mariadb.socket}", query="SELECT 1 o")) == [{"o": 1}]


def test_a_server_that_never_answers_is_given_up_on() -> None:
    """connect_timeout counts."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        uri = f"mysql://u@127.0.0.1:{listener.getsockname()[1]}/x?connect_timeout=0.2"
        with pytest.raises(SourceError, match="no answer in time"):
            read_table(source_of(uri, table="t"))


def test_what_makes_no_sense_is_refused_before_connecting() -> None:
    """Options of files, and neither table nor query."""
    for options in ({"table": "t", "format": "csv"}, {}, {"table": "t", "options": {"nonsense": 1}}):
        with pytest.raises(ConfigurationError):
            source_of("mysql://u@nowhere.invalid/x", **options)


# --- wide rows ---


def test_wide_rows_stay_what_they_were_when_the_next_have_come(mariadb: MariaDbDatabase) -> None:
    """A wide value is not copied out of what was received; what is received later goes elsewhere."""
    wide = "repeat(substr('ABCD', seq, 1), CASE WHEN seq % 2 THEN 20000000 ELSE 10 END)"
    text = f"SELECT seq AS i, {wide} AS t, CASE WHEN seq = 3 THEN NULL ELSE {wide} END AS n FROM seq_1_to_4"
    before = pa.total_allocated_bytes()
    with query(mariadb, text, max_row_bytes=100 << 20).open_batches() as batches:
        found = list(batches)
    table = pa.Table.from_batches(found)
    expected = [chr(64 + i) * (20_000_000 if i % 2 else 10) for i in range(1, 5)]
    assert table["t"].to_pylist() == expected
    assert table["n"].to_pylist() == [*expected[:2], None, expected[3]]
    del table
    assert pa.total_allocated_bytes() - before < 1 << 20
