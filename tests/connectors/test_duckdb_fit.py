"""Appending to a DuckDB table of other types: what is loaded is the value that was given, or nothing is."""

from __future__ import annotations

import re
import struct
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime, time
from decimal import Decimal
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import assume, example, given, strategies as st

from penstock import api
from penstock.connectors._batches import Batches
from penstock.connectors.duckdb._fit import fit, is_kept_by_type, selection
from penstock.connectors.duckdb._load import column_types
from penstock.errors import SinkError
from tests.connectors.parts import Cancellable
from tests.connectors.test_duckdb_sink import load, run, table_sink, uri

__all__ = ["uri"]

duckdb = pytest.importorskip("duckdb")

INTEGERS = ["TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"]
INTEGERS += ["UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT", "BIGNUM"]
DECIMALS = ["DECIMAL(4,1)", "DECIMAL(9,0)", "DECIMAL(18,3)", "DECIMAL(20,19)", "DECIMAL(38,0)", "DECIMAL(38,20)"]
FLOATS = ["FLOAT", "DOUBLE"]
TIMESTAMPS = {"TIMESTAMP_S": 10**9, "TIMESTAMP_MS": 10**6, "TIMESTAMP": 10**3, "TIMESTAMP_NS": 1}
ZONED = {"TIMESTAMP WITH TIME ZONE": 10**3, "TIMESTAMPTZ_NS": 1}
DAY = 86_400 * 10**9


@pytest.fixture(scope="module")
def connection() -> Iterator[Any]:
    """A DuckDB for the many values of the properties."""
    with closing(duckdb.connect()) as opened:
        yield opened


def fitted(connection: Any, column: pa.Array, target: str) -> pa.Array | None:
    """Return the column as the table would have it, by the statement of the sink; None where it is refused."""
    [source] = column_types(pa.schema([("c0", column.type)]), "here")
    found = fit("v", source, target)
    if found is None and not is_kept_by_type(source, target):
        return None
    inner = selection([None if is_kept_by_type(source, target) else found], "batch")
    text = target in {"BIGNUM", "HUGEINT", "UHUGEINT"}  # in Arrow they are something else
    query = f"SELECT CAST(x AS {'VARCHAR' if text else target}) FROM ({inner}) AS r(x)"
    with closing(connection.cursor()) as cursor:
        cursor.execute("SET TimeZone = 'UTC'").complete()
        cursor.register("batch", pa.table({"c0": column}))
        try:
            made: pa.Array = cursor.sql(query).to_arrow_table().column(0).combine_chunks()
        except duckdb.Error as exc:
            assert "which does not keep" in str(exc)  # noqa: PT017 - any other error would be a fault of ours
            return None
    return made


# --- numbers --------------------------------------------------------------------------------------------------------


def meant(value: Any, kind: pa.DataType) -> set[Any]:
    """Return the numbers a value stands for: a float what it is, and what it is written as."""
    if not pa.types.is_floating(kind):
        return {Fraction(Decimal(value))}
    if value != value or value in {float("inf"), float("-inf")}:
        return {str(value)}
    written = repr(value) if kind.bit_width == 64 else str(pa.scalar(value, kind).cast(pa.string()))
    return {Fraction(value), Fraction(Decimal(written))}


@st.composite
def numbers(draw: st.DrawFn) -> pa.Array:
    """Integers, floats and decimals of every width, near the limits of others."""
    kind = draw(st.sampled_from([pa.int8(), pa.int64(), pa.uint16(), pa.uint64(), pa.float32(), pa.float64(), None]))
    near = st.sampled_from([1 << bits for bits in (7, 8, 15, 16, 24, 31, 32, 53, 63, 64, 127)])
    whole = st.builds(lambda base, by, sign: sign * (base + by), near, st.integers(-3, 3), st.sampled_from([1, -1]))
    if kind is None:
        precision = draw(st.integers(1, 38))
        scale = draw(st.integers(0, precision))
        unscaled = draw(st.one_of(st.integers(-999, 999), whole, st.integers(1 - 10**38, 10**38 - 1)))
        assume(abs(unscaled) < 10**precision)
        return pa.array(
            [Decimal((unscaled < 0, tuple(map(int, str(abs(unscaled)))), -scale))], pa.decimal128(precision, scale)
        )
    if pa.types.is_integer(kind):
        value = draw(st.one_of(st.integers(-200, 200), whole, st.integers(-(2**63), 2**64 - 1)))
        try:
            return pa.array([value], kind)
        except (pa.ArrowInvalid, OverflowError):
            assume(False)
    tenths = st.builds(lambda digits, scale: digits / 10**scale, st.integers(-(10**6), 10**6), st.integers(0, 9))
    value = draw(st.one_of(st.floats(width=32), st.floats(), tenths, whole.map(float)))
    if kind == pa.float32() and value == value:
        assume(value in {float("inf"), float("-inf")} or abs(value) < 3.4e38)
        value = struct.unpack("f", struct.pack("f", value))[0]
    return pa.array([value], kind)


@given(column=numbers(), target=st.sampled_from(INTEGERS + DECIMALS + FLOATS))
@example(column=pa.array([2**63 - 1]), target="DOUBLE")
@example(column=pa.array([2.0**63]), target="BIGINT")
@example(column=pa.array([Decimal(9007199254740993)], pa.decimal128(20, 0)), target="DOUBLE")
def test_a_number_is_the_same_number_or_refused(connection: Any, column: pa.Array, target: str) -> None:
    """Whatever the two types are: no digit is rounded off, nothing wraps around."""
    made = fitted(connection, column, target)
    if made is not None:
        assert meant(column[0].as_py(), column.type) & meant(made[0].as_py(), made.type)


@given(
    value=st.integers(-(2**70), 2**70), scale=st.integers(0, 19), target=st.sampled_from(INTEGERS + DECIMALS + FLOATS)
)
def test_text_is_the_same_number_or_refused(connection: Any, value: int, scale: int, target: str) -> None:
    """Written with a point anywhere."""
    text = str(Decimal((value < 0, tuple(map(int, str(abs(value)))), -scale)))
    made = fitted(connection, pa.array([text]), target)
    if made is not None:
        assert Fraction(Decimal(text)) in meant(made[0].as_py(), made.type)


@given(text=st.text("0123456789.-+eE xnaif_", max_size=12), target=st.sampled_from(INTEGERS + DECIMALS + FLOATS))
@example(text="0x10", target="INTEGER")
@example(text="1_000", target="INTEGER")
@example(text="1e400", target="DOUBLE")
@example(text="1e-400", target="DOUBLE")
def test_no_text_is_guessed_to_be_a_number(connection: Any, text: str, target: str) -> None:
    """What is loaded is a number for others too, without zeros in front of it; integers are whole."""
    made = fitted(connection, pa.array([text]), target)
    if made is None:
        return
    if target in FLOATS and not any(digit in text for digit in "0123456789"):
        assert meant(float(text), pa.float64()) == meant(made[0].as_py(), made.type)
        return
    assert Fraction(Decimal(text)) in meant(made[0].as_py(), made.type)
    assert re.match(r"-?0\d", text) is None
    assert target not in INTEGERS or str(int(text)) == text


@given(value=st.floats(), target=st.sampled_from(FLOATS))
def test_what_a_float_is_written_as_goes_into_one(connection: Any, value: float, target: str) -> None:
    """As Python writes it; into a DOUBLE always, into a FLOAT where that is written so too."""
    made = fitted(connection, pa.array([repr(value)]), target)
    if target == "DOUBLE":
        assert made is not None
    if made is not None:
        assert meant(value, pa.float64()) & meant(made[0].as_py(), made.type)


# --- dates and times ------------------------------------------------------------------------------------------------


def in_nanoseconds(made: pa.Array, target: str) -> int:
    """Return what an array of one date or time counts, in nanoseconds."""
    if target == "DATE":
        return int(made.cast(pa.int32())[0].as_py()) * DAY
    if target.startswith("TIMESTAMP"):
        return int(made.cast(pa.int64())[0].as_py()) * (TIMESTAMPS | ZONED)[target]
    return int(made.cast(pa.int64())[0].as_py()) * (1 if target == "TIME_NS" else 10**3)


UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
YEAR_1, YEAR_10000 = -719_162 * DAY, 2_932_897 * DAY


@st.composite
def instants(draw: st.DrawFn) -> tuple[pa.Array, int]:
    """Dates and timestamps of every unit, with and without a zone, and their nanoseconds since 1970."""
    unit, zone = draw(st.sampled_from(sorted(UNITS))), draw(st.sampled_from([None, "UTC", "Asia/Kathmandu"]))
    day = draw(st.integers(-200, 200) | st.integers(-719_162, 2_932_896))
    rest = draw(st.sampled_from([0, 1, 10**3, 10**6, 10**9, 3600 * 10**9, DAY - 1]))
    count = (day * DAY + rest) // UNITS[unit]
    assume(-(2**63) < count < 2**63)
    if draw(st.booleans()):
        return pa.array([day], pa.date32()), day * DAY
    return pa.array([count], pa.timestamp(unit, zone)), count * UNITS[unit]


@given(instant=instants(), target=st.sampled_from(["DATE", *TIMESTAMPS, *ZONED]))
def test_an_instant_is_the_same_instant_or_refused(connection: Any, instant: tuple[pa.Array, int], target: str) -> None:
    """No fraction, time of day or century is lost; with a zone it is the date and time of UTC."""
    column, count = instant
    made = fitted(connection, column, target)
    if made is not None:
        assert in_nanoseconds(made, target) == count


@given(count=st.integers(0, DAY - 1), is_fine=st.booleans(), target=st.sampled_from(["TIME", "TIME_NS"]))
def test_a_time_is_the_same_time_or_refused(connection: Any, count: int, is_fine: bool, target: str) -> None:
    """In microseconds and nanoseconds."""
    made = fitted(
        connection, pa.array([count if is_fine else count // 1000], pa.time64("ns" if is_fine else "us")), target
    )
    if made is None:
        assert is_fine
        assert target == "TIME"
        assert count % 1000
        return
    assert in_nanoseconds(made, target) == (count if is_fine else count // 1000 * 1000)


OFFSETS = {"": 0, "Z": 0, "+00": 0, "+00:00": 0, " +00:00": 0, "+05:30": 330, "-0330": -210, "-08": -480, "+01:15": 75}


@given(
    moment=st.datetimes() | st.builds(datetime.combine, st.dates(), st.just(time())),
    separator=st.sampled_from([" ", "T", "  "]),
    fraction=st.sampled_from(
        ["", ".", ".5", ".500000", ".000000", ".123456", ".123456000", ".1234567", ".123456789", ".0000000001"]
    ),
    offset=st.sampled_from(sorted(OFFSETS)),
    target=st.sampled_from(["DATE", *TIMESTAMPS, *ZONED, "TIME", "TIME_NS"]),
)
def test_text_is_the_same_moment_or_refused(
    connection: Any, moment: datetime, separator: str, fraction: str, offset: str, target: str
) -> None:
    """No time of day, digit of a second, date or offset is dropped; where the table has a zone, the text has one."""
    text = f"{moment:%H:%M:%S}{fraction}{offset}"
    if not target.startswith("TIME_") and target != "TIME":
        text = f"{moment:%Y-%m-%d}".rjust(10, "0") + separator + text
    made = fitted(connection, pa.array([text]), target)
    if made is None:
        return
    seconds = Fraction(Decimal(f"0{fraction}" if len(fraction) > 1 else "0")) + moment.second
    nanoseconds = (moment.hour * 3600 + moment.minute * 60 + seconds) * 10**9
    if target not in {"TIME", "TIME_NS"}:
        nanoseconds += (moment.date() - date(1970, 1, 1)).days * DAY
    assert in_nanoseconds(made, target) == nanoseconds - OFFSETS[offset] * 60 * 10**9
    assert (offset != "") if target in ZONED else (OFFSETS[offset] == 0)
    assert target not in {"TIME", "TIME_NS"} or offset == ""


# --- through the sink -----------------------------------------------------------------------------------------------

FITTING: list[tuple[str, pa.Array, str]] = [
    ("INTEGER", pa.array([1, None, -(2**31)]), f"1 NULL {-(2**31)}"),
    ("UTINYINT", pa.array([255], pa.int64()), "255"),
    ("DECIMAL(5,2)", pa.array([999]), "999.00"),
    ("DOUBLE", pa.array([2**53, -(2**63)]), "9007199254740992.0 -9.223372036854776e+18"),
    ("BIGNUM", pa.array([2**64 - 1], pa.uint64()), str(2**64 - 1)),
    ("VARCHAR", pa.array([-7]), "-7"),
    ("INTEGER", pa.array([3.0, -0.0]), "3 0"),
    ("DECIMAL(4,1)", pa.array([0.1, 1.5]), "0.1 1.5"),
    ("DECIMAL(20,0)", pa.array([2.0**60]), str(2**60)),
    ("FLOAT", pa.array([1.5, float("nan"), float("-inf")]), "1.5 nan -inf"),
    ("DECIMAL(3,1)", pa.array([Decimal("1.50")]), "1.5"),
    ("SMALLINT", pa.array([Decimal("1.00")]), "1"),
    ("DOUBLE", pa.array([Decimal("0.1"), Decimal("0.3")]), "0.1 0.3"),
    ("DOUBLE", pa.array([Decimal(2**60)]), "1.152921504606847e+18"),
    ("FLOAT", pa.array([Decimal("0.1")]), "0.1"),
    ("INTEGER", pa.array(["-5", "0", None]), "-5 0 NULL"),
    ("UHUGEINT", pa.array([str(2**128 - 1)]), str(2**128 - 1)),
    ("DECIMAL(5,2)", pa.array(["1.5", "-0.1000", ".5", "7"]), "1.50 -0.10 0.50 7.00"),
    (
        "DOUBLE",
        pa.array(["0.1", "1E3", "100", "1e+22", "nan", "-Infinity", str(2**60)]),
        "0.1 1000.0 100.0 1e+22 nan -inf 1.152921504606847e+18",
    ),
    ("FLOAT", pa.array(["0.1", "16777216"]), "0.1 16777216.0"),
    ("BOOLEAN", pa.array(["true", "FALSE", "t", "F", "1", "0"]), "true false true false true false"),
    (
        "DATE",
        pa.array(["2024-02-29", "0001-01-01", "2024-1-2", "2024-01-01T00:00:00.0", "0044-03-15 (BC)"]),
        "2024-02-29 0001-01-01 2024-01-02 2024-01-01 0044-03-15 (BC)",
    ),
    (
        "TIMESTAMP",
        pa.array(["2024-01-01 10:00", "2024-01-01T10:00:00.123456000", "2024-01-01", "2024-01-01T10:00:00Z"]),
        "2024-01-01 10:00:00 2024-01-01 10:00:00.123456 2024-01-01 00:00:00 2024-01-01 10:00:00",
    ),
    ("TIMESTAMP_NS", pa.array(["2024-01-01 10:00:00.123456789"]), "2024-01-01 10:00:00.123456789"),
    (
        "TIMESTAMPTZ",
        pa.array(["2024-01-01T10:00:00+02:30", "2024-01-01 10:00:00.5Z"]),
        "2024-01-01 07:30:00+00 2024-01-01 10:00:00.5+00",
    ),
    ("TIME", pa.array(["10:00", "23:59:59.999999"]), "10:00:00 23:59:59.999999"),
    ("TIMETZ", pa.array(["12:34:56+05:30"]), "12:34:56+05:30"),
    ("INTERVAL", pa.array(["1 year 3 days 04:05:06"]), "1 year 3 days 04:05:06"),
    ("BIT", pa.array(["0101"]), "0101"),
    ("UUID", pa.array(["00000000-0000-0000-0000-00000000000A"]), "00000000-0000-0000-0000-00000000000a"),
    ("JSON", pa.array(['{"a":  1}']), '{"a":  1}'),
    ("ENUM('a {v}', 'it''s')", pa.array(["it's", "a {v}"]), "it's a {v}"),
    ("DATE", pa.array([0], pa.timestamp("us")), "1970-01-01"),
    ("TIMESTAMP_NS", pa.array([date(2024, 1, 1)]), "2024-01-01 00:00:00"),
    ("TIMESTAMP_S", pa.array([2 * 10**9], pa.timestamp("ns")), "1970-01-01 00:00:02"),
    ("TIMESTAMP", pa.array([1], pa.timestamp("s", "Asia/Kathmandu")), "1970-01-01 00:00:01"),
    ("TIMESTAMPTZ", pa.array([1000], pa.timestamp("ns", "UTC")), "1970-01-01 00:00:00.000001+00"),
    ("TIME", pa.array([1000], pa.time64("ns")), "00:00:00.000001"),
    ("TIME_NS", pa.array([time(1, 2, 3)]), "01:02:03"),
    ("INTEGER", pa.nulls(2), "NULL NULL"),
]


@pytest.mark.parametrize(("declared", "column", "text"), FITTING)
def test_what_fits_by_its_value_is_appended(uri: str, declared: str, column: pa.Array, text: str) -> None:
    """Whatever the types are; NULL is NULL."""
    run(uri, f"CREATE TABLE t (v {declared})")
    load(uri, pa.RecordBatch.from_arrays([column], names=["v"]), if_exists="append")
    rows = run(uri, "SET TimeZone = 'UTC'", "SELECT coalesce(v::VARCHAR, 'NULL') FROM t")
    assert " ".join(found for (found,) in rows) == text


LOST: list[tuple[str, pa.Array, str]] = [
    ("INTEGER", pa.array([2**31]), str(2**31)),
    ("UBIGINT", pa.array([-1], pa.int8()), "-1"),
    ("DECIMAL(5,2)", pa.array([1000]), "1000"),
    ("DOUBLE", pa.array([2**53 + 1]), str(2**53 + 1)),
    ("INTEGER", pa.array([1.5]), "1.5"),
    ("INTEGER", pa.array([float("nan")]), "nan"),
    ("BIGINT", pa.array([2.0**63]), "9.223372036854776e+18"),
    ("DECIMAL(4,1)", pa.array([0.25]), "0.25"),
    ("FLOAT", pa.array([0.1]), "0.1"),
    ("FLOAT", pa.array([1e300]), "1e+300"),
    ("DECIMAL(3,1)", pa.array([Decimal("1.55")]), "1.55"),
    ("INTEGER", pa.array([Decimal("1.5")]), "1.5"),
    ("DOUBLE", pa.array([Decimal("1.12345678901234567890")]), "1.12345678901234567890"),
    *(
        ("INTEGER", pa.array([text]), text)
        for text in ["1.5", "007", " 1", "1e3", "", "1_0", "0x1", "+1", "1.0", str(2**31)]
    ),
    *(("DECIMAL(4,1)", pa.array([text]), text) for text in ["1.25", "1e2", "1000", "x", " 1", "01.5"]),
    *(
        ("DOUBLE", pa.array([text]), text)
        for text in ["0.12345678901234567890", "1e400", "1e-400", "007", " 1", "9007199254740993"]
    ),
    ("FLOAT", pa.array(["0.123456789"]), "0.123456789"),
    ("BOOLEAN", pa.array(["yes"]), "yes"),
    *(
        ("DATE", pa.array([text]), text)
        for text in ["2024-01-01 10:00", "2024-02-30", "2024-01-01T00:00:00Z", "01/02/2024"]
    ),
    *(
        ("TIMESTAMP", pa.array([text]), text)
        for text in ["2024-01-01 10:00+02", "2024-01-01 10:00:00.1234567", "2024-01-01 x"]
    ),
    ("TIMESTAMP_S", pa.array(["2024-01-01 10:00:00.5"]), "2024-01-01 10:00:00.5"),
    ("TIMESTAMPTZ", pa.array(["2024-01-01 10:00:00"]), "2024-01-01 10:00:00"),
    *(("TIME", pa.array([text]), text) for text in ["2024-01-01 10:00", "10:00:00.1234567", "10:00+02"]),
    ("UUID", pa.array(["x"]), "x"),
    ("JSON", pa.array(["{"]), "{"),
    ("ENUM('a', 'b')", pa.array(["c"]), "c"),
    ("DATE", pa.array([10 * 3600], pa.timestamp("s")), "1970-01-01 10:00:00"),
    ("TIMESTAMP", pa.array([1], pa.timestamp("ns")), "1970-01-01 00:00:00.000000001"),
    ("TIMESTAMP_NS", pa.array([date(9999, 1, 1)]), "9999-01-01"),
    ("TIMESTAMP_S", pa.array([1], pa.timestamp("us", "UTC")), "1970-01-01 00:00:00.000001+00"),
    ("TIME", pa.array([1], pa.time64("ns")), "00:00:00.000000001"),
    ("TIMESTAMP_S", pa.array([2**62], pa.timestamp("ms")), "infinity, or a year that DuckDB can not write"),
    (
        "TIMESTAMP_S",
        pa.array([(2**63 - 1) // 1000], pa.timestamp("ms")),
        "infinity, or a year that DuckDB can not write",
    ),
    ("TIMESTAMP_NS", pa.array([-(2**63)], pa.timestamp("us")), "infinity, or a year that DuckDB can not write"),
    ("DATE", pa.array([2**62], pa.timestamp("s")), "infinity, or a year that DuckDB can not write"),
    ("INTEGER", pa.array(["Permission denied\n\nx"]), "Permission denied x"),
]


@pytest.mark.parametrize(("declared", "column", "text"), LOST)
def test_what_would_be_lost_is_named_and_nothing_is_loaded(
    uri: str, declared: str, column: pa.Array, text: str
) -> None:
    """The column, the type in the table, the value, and what to do. Batches before it are undone."""
    run(uri, f"CREATE TABLE t (v {declared})")
    [(kind,)] = run(uri, "SELECT column_type FROM (DESCRIBE t)")
    batch = partial(pa.RecordBatch.from_arrays, names=["v"])
    with pytest.raises(SinkError) as caught:
        load(uri, batch([pa.nulls(1, column.type)]), batch([column]), if_exists="append")
    assert f"column 'v' is {kind} in the table, which does not keep '{text}' (convert it before" in str(caught.value)
    assert run(uri, "SELECT count(*) FROM t") == [(0,)]


@pytest.mark.parametrize(
    ("declared", "column"),
    [
        ("BLOB", pa.array(["x"])),
        ("INTEGER[]", pa.array(["[1]"])),
        ("INTEGER[]", pa.array([[1]])),
        ("STRUCT(a INTEGER)", pa.array([{"a": 1}])),
        ("DECIMAL(4,1)[]", pa.array([Decimal("1.5")])),
        ("ENUM('a')[]", pa.array(["a"])),
        ("VARCHAR", pa.array([1.5])),
        ("VARCHAR", pa.array([b"x"])),
        ("BOOLEAN", pa.array([1])),
        ("INTEGER", pa.array([True])),
        ("TIME", pa.array([0], pa.timestamp("us"))),
        ("TIMESTAMPTZ", pa.array([0], pa.timestamp("us"))),
        ("DATE", pa.array([1], pa.timestamp("s", "UTC"))),
    ],
)
def test_types_of_which_no_value_is_the_same_are_refused(uri: str, declared: str, column: pa.Array) -> None:
    """Before a row is loaded; the hint is of use to somebody who loads a file too."""
    run(uri, f"CREATE TABLE t (v {declared})")
    with pytest.raises(SinkError, match=r"is to be loaded into it \(convert it before: .* or with a step"):
        load(uri, pa.RecordBatch.from_arrays([column], names=["v"]), if_exists="append")


def test_a_csv_file_is_appended_to_the_table_it_is_for(uri: str, tmp_path: Path) -> None:
    """Every field is text; the table says what it is."""
    (tmp_path / "t.csv").write_text("a,d,n\n1,2024-01-01,0.50\n2,,7\n")
    run(uri, "CREATE TABLE t (a INT, d DATE, n DECIMAL(9, 2))")
    api.copy(str(tmp_path / "t.csv"), uri, to_table="t", if_exists="append")
    assert run(uri, "SELECT * FROM t") == [(1, date(2024, 1, 1), Decimal("0.50")), (2, None, Decimal(7))]


def test_a_table_is_appended_to_another_of_the_same_file(uri: str) -> None:
    """Also what is read as text: enums, offsets, intervals, bits, very large integers."""
    columns = "i INT, u UHUGEINT, g BIGNUM, e ENUM('a'), z TIMETZ, n INTERVAL, b BIT, x UUID"
    row = f"1, {2**128 - 1}, 5, 'a', '12:00:00+02', INTERVAL 3 DAY, '01', uuid()"
    run(uri, f"CREATE TABLE t ({columns})", f"CREATE TABLE s ({columns})", f"INSERT INTO s VALUES ({row})")
    api.copy(uri, uri, table="s", to_table="t", if_exists="append")
    assert run(uri, "SELECT count(*) FROM (FROM t INTERSECT FROM s)") == [(1,)]


def test_a_cancel_interrupts_the_looking_through_a_large_batch(uri: str) -> None:
    """Inside DuckDB, which casts a million texts; nothing has been loaded."""
    run(uri, "CREATE TABLE t (v DOUBLE)")
    large = pa.RecordBatch.from_pydict({"v": pa.array(["1.50"]).take(pa.array([0] * 1_000_000))})
    is_loading = threading.Event()

    def endless() -> Iterator[pa.RecordBatch]:
        while True:
            yield large
            is_loading.set()

    call = Cancellable(lambda: table_sink(uri, if_exists="append").load(Batches(large.schema, endless())))
    assert is_loading.wait(30)
    assert call.cancel() < 1
    assert run(uri, "SELECT count(*) FROM t") == [(0,)]
