"""Rows appended to a table of SQLite: what it would bend is refused by its value, and everything else gets in."""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from penstock import copy
from penstock.connectors._batches import Batches
from penstock.errors import SinkError
from penstock.flow.contracts import TableSink
from tests.connectors.parts import sink_of

DECLARED = [
    "INT",
    "BIGINT",
    "REAL",
    "DOUBLE",
    "TEXT",
    "VARCHAR(9)",
    "BLOB",
    "",
    "NUMERIC",
    "DECIMAL(9,2)",
    "DATE",
    "DATETIME",
    "BOOLEAN",
    "STRING",
    "FLOATING POINT",
]
EDGES = [
    *("1.10", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "1e400"),
    *("-1e400", "1e-400", "1e99999999999999999999", "1e-99999999999999999999", "1.23456789e-320", "5e-324", "0x1F"),
    *(
        ".5",
        "5.",
        " 1",
        "1 ",
        "\x0b1",
        "1\n",
        "\xa01",
        "+1",
        "-0",
        "-0.0",
        "0.0",
        "0e5",
        "007",
        "inf",
        "nan",
        "",
        "1e",
        "-",
    ),
    *("9007199254740993", "9007199254740993.0", "0.1", "0.30000000000000001", "1e3", "1E+05", "1\x00", "٣", "1_000"),
    *("-2.2606631148481385e-299", "2024-01-02", "12:30", "1,5", "99999999999999999999e-5", "1" + "0" * 22, "9" * 400),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data.db"


def append(path: Path, *batches: dict[str, pa.Array]) -> None:
    uri = f"sqlite:///{path}"
    sink = cast(TableSink, sink_of(uri, format_name="", media_type="", table="t", if_exists="append"))
    loaded = [pa.RecordBatch.from_pydict(batch) for batch in batches]
    assert sink.check()
    sink.load(Batches(loaded[0].schema, iter(loaded)))


def run(path: Path, *statements: str) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            rows = connection.execute(statement).fetchall()
        connection.commit()
    return rows


def appended(path: Path, declared: str, column: pa.Array, options: str = "") -> list[tuple[Any, str]]:
    """What SQLite has afterwards in a new table with one column: each value and its type there."""
    run(path, "DROP TABLE IF EXISTS t", f"CREATE TABLE t (v {declared}) {options}")
    append(path, {"v": column})
    return run(path, "SELECT v, typeof(v) FROM t")


def refusal(path: Path, declared: str, column: pa.Array, options: str = "") -> str:
    """The words of the refusal, after which there is no row."""
    with pytest.raises(SinkError) as caught:
        appended(path, declared, column, options)
    assert run(path, "SELECT count(*) FROM t") == [(0,)]
    return str(caught.value)


@pytest.mark.parametrize(
    ("declared", "column", "stored"),
    [
        ("INT", pa.array(["1", "-5", "0", "9223372036854775807", "-9223372036854775808"]), [1, -5, 0, 2**63 - 1, -(2**63)]),
        ("INT", pa.array([1.0, -(2.0**63), 2.0**62]), [1, -(2**63), 2**62]),
        ("INT", pa.array([Decimal("7.00"), Decimal("-30.00")]), [7, -30]),
        ("INT", pa.array([Decimal("7.00")]).dictionary_encode(), [7]),
        ("REAL", pa.array([2**60, -(2**63), 3]), [2.0**60, -(2.0**63), 3.0]),
        ("REAL", pa.array([True]), [1.0]),
        ("REAL", pa.array(["0.1", "1e3", "1e+16", "1e-05", "-2.2606631148481385e-299"]), [0.1, 1e3, 1e16, 1e-5, -2.2606631148481385e-299]),
        ("REAL", pa.array(["1.5"], pa.string_view()), [1.5]),
        ("TEXT", pa.array([7, -(2**63)]), ["7", "-9223372036854775808"]),
        ("DATE", pa.array([date(2024, 1, 2)]), ["2024-01-02"]),
        ("DATETIME", pa.array([datetime(2024, 1, 2, tzinfo=UTC)]), ["2024-01-02 00:00:00.000000Z"]),
        ("DECIMAL(9, 2)", pa.array([Decimal("1.10"), Decimal("5.00")]), [1.1, 5]),
        ("NUMERIC", pa.array(["x", "", "0x1F", "inf", "1_000", "2024-01-02"]), ["x", "", "0x1F", "inf", "1_000", "2024-01-02"]),
        ("NUMERIC", pa.array(["9007199254740993", "-1234567890123456"]), [2**53 + 1, -1234567890123456]),
        ("NUMERIC", pa.array(["x", "1.10", "9007199254740993", "9223372036854775808", "5"]), ["x", 1.1, 2**53 + 1, 2.0**63, 5]),
    ],
)  # fmt: skip
def test_what_is_the_same_afterwards_gets_in(path: Path, declared: str, column: pa.Array, stored: list[Any]) -> None:
    """Whatever type it comes in; NULL stays NULL."""
    found = appended(path, declared, pa.concat_arrays([column, pa.nulls(1, column.type)]))
    assert [value for value, _ in found] == [*stored, None]
    assert [type(value) for value, _ in found] == [*map(type, stored), type(None)]


@pytest.mark.parametrize(
    ("declared", "values", "named"),
    [
        ("INT", ["1", "007"], "'007'"),
        ("INT", ["-0"], "'-0'"),
        ("INT", [" 1"], "' 1'"),
        ("INT", ["1\n"], r"'1\n'"),
        ("INT", ["+1"], "'+1'"),
        ("INT", ["1e3"], "'1e3'"),
        ("INT", ["x"], "'x'"),
        ("INT", [""], "''"),
        ("INT", ["9223372036854775808"], "'9223372036854775808'"),
        ("INT", ["-9223372036854775809"], "'-9223372036854775809'"),
        ("INT", [Decimal("7.00"), Decimal("1.10")], "'1.10'"),
        ("INT", [1.0, 1.5], "1.5"),
        ("INT", [2.0**63], "9.22337203685477"),
        ("INT", [float("inf")], "inf"),
        ("INT", [-0.0], "-0.0"),
        ("REAL", [1, 2**53 + 1], "9007199254740993"),
        ("REAL", [2**63 - 1], "9223372036854775807"),
        ("REAL", ["9007199254740993"], "'9007199254740993'"),
        ("REAL", ["0.1", "abc"], "'abc'"),
        ("REAL", ["1e400"], "'1e400'"),
        ("REAL", ["1e-400"], "'1e-400'"),
        ("REAL", ["1.23456789e-320"], "'1.23456789e-320'"),
        ("REAL", ["-0.0"], "'-0.0'"),
        ("DECIMAL(9, 2)", [Decimal("12345678901234567.89")], "'12345678901234567.89'"),
        ("DATE", ["2024-01-02", "20240102.0", "02024"], "'02024'"),
        ("NUMERIC", ["12345678901234567890"], "'12345678901234567890'"),
        ("NUMERIC", ["4.857802241974909e+16"], "'4.857802241974909e+16'"),
        ("NUMERIC", [".5"], "'.5'"),
        ("NUMERIC", ["1 "], "'1 '"),
    ],
)
def test_what_would_be_another_is_named(path: Path, declared: str, values: list[Any], named: str) -> None:
    """The column, the type in the table and the value, and what to do; no row is loaded."""
    said = refusal(path, declared, pa.array(values))
    assert f"column 'v' can not be loaded: {named}" in said
    assert f"in the table's {declared}, which takes" in said
    assert "in a step of the flow" in said


def test_what_came_before_it_is_not_loaded_either(path: Path) -> None:
    """A value of a later batch takes the earlier ones back; the old rows stay."""
    run(path, "CREATE TABLE t (v INT)", "INSERT INTO t VALUES (5)")
    with pytest.raises(SinkError, match="'01' would be another"):
        append(path, {"v": pa.array(["1"] * 5000)}, {"v": pa.array(["01"])})
    assert run(path, "SELECT v FROM t") == [(5,)]


@pytest.mark.parametrize(
    ("declared", "column", "kind"),
    [
        ("TEXT", pa.array([1.5]), "REAL"),
        ("TEXT", pa.array([True]), "BOOLEAN"),
        ("INT", pa.array([b"1"]), "BLOB"),
    ],
)
def test_what_is_bent_whatever_it_is_is_refused_by_its_type(
    path: Path, declared: str, column: pa.Array, kind: str
) -> None:
    """SQLite writes doubles with 15 digits, and true as 1."""
    assert f"column 'v' is {declared} in the table, where SQLite would bend {kind}" in refusal(path, declared, column)


def is_same(given: Any, stored: Any) -> bool:
    """Whether it is the same text, or the same number, be it written otherwise; a double is also what it is written as."""
    if isinstance(given, str) and isinstance(stored, str):
        return given == stored
    if isinstance(given, float) or (isinstance(given, int) and not isinstance(stored, str)):
        return bool(given == stored)  # exactly: Python compares no roundings
    number = Decimal(given)
    return number == Decimal(stored) or (isinstance(stored, float) and number == Decimal(repr(stored)))


looking_like_numbers = st.from_regex(r"\A[ \n]?[+-]?[0-9]{0,20}(\.[0-9]{0,18})?([eE][+-]?[0-9]{1,3})?[ \n]?\Z")
texts = st.one_of(
    st.sampled_from(EDGES),
    looking_like_numbers,
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    st.floats(allow_nan=False).map(repr),
    st.integers(-(2**66), 2**66).map(str),
)
columns = st.one_of(
    st.lists(texts, min_size=1, max_size=3).map(lambda values: pa.array(values, pa.string())),
    st.lists(st.floats(allow_nan=False), min_size=1, max_size=3).map(pa.array),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=3).map(lambda values: pa.array(values, pa.int64())),
    st.lists(st.integers(-(10**25), 10**25).map(lambda value: Decimal(value).scaleb(-4)), min_size=1, max_size=3).map(
        lambda values: pa.array(values, pa.decimal128(38, 4))
    ),
)


@given(column=columns, declared=st.sampled_from(DECLARED))
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_value_is_refused_or_stays_equal(path: Path, column: pa.Array, declared: str) -> None:
    """Of any value and any declared type: SQLite has the same number or text afterwards, or no row."""
    try:
        found = appended(path, declared, column)
    except SinkError:
        assert run(path, "SELECT count(*) FROM t") == [(0,)]
        return
    for given_value, (stored, kind) in zip(column.to_pylist(), found, strict=True):
        assert kind != "null"
        assert is_same(given_value, stored), (given_value, stored, kind)


@given(values=st.lists(texts, min_size=1, max_size=3))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_text_that_sqlite_leaves_alone_is_not_refused(path: Path, values: list[str]) -> None:
    """In a column with numeric affinity: all that it does not take for a number itself."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t (v NUMERIC)")
        connection.executemany("INSERT INTO t VALUES (?)", [(value,) for value in values])
        left = [value for (value,) in connection.execute("SELECT v FROM t WHERE typeof(v) = 'text'")]
    assert appended(path, "NUMERIC", pa.array(left, pa.string())) == [(value, "text") for value in left]


@pytest.mark.parametrize("value", [0.1, 1e-299, -2.2606631148481385e-299, 5e-324, math.pi, 1.7976931348623157e308])
def test_a_double_written_with_all_its_digits_comes_back_as_it_was(path: Path, value: float) -> None:
    """Also where SQLite's own conversion of text misses it."""
    assert appended(path, "REAL", pa.array([repr(value)])) == [(value, "real")]
    assert appended(path, "NUMERIC", pa.array([repr(value), "x"])) == [(value, "real"), ("x", "text")]


def test_a_strict_table_has_its_own_say(path: Path) -> None:
    """What is well elsewhere is well there; ANY takes text as it is; what the table refuses itself is its error."""
    assert appended(path, "INT", pa.array(["7"]), "STRICT") == [(7, "integer")]
    assert appended(path, "INT", pa.array([-(2.0**63)]), "STRICT") == [(-(2**63), "integer")]
    assert appended(path, "TEXT", pa.array([7]), "STRICT") == [("7", "text")]
    assert appended(path, "ANY", pa.array(["007", "1e400"]), "STRICT") == [("007", "text"), ("1e400", "text")]
    assert appended(path, "ANY", pa.array([-5]), "STRICT") == [(-5, "integer")]
    assert "cannot store TEXT value in BLOB column t.v" in refusal(path, "BLOB", pa.array(["x"]), "STRICT")
    assert "'007' would be another in the table's ANY" in refusal(path, "ANY", pa.array(["007"]))


def test_a_column_that_the_table_computes_is_told_as_such(path: Path) -> None:
    """It is not missing, but takes no values."""
    run(path, "CREATE TABLE t (a INT, b INT AS (a + 1), c INT AS (a + 2) STORED)")
    append(path, {"a": pa.array(["1"])})
    assert run(path, "SELECT * FROM t") == [(1, 2, 3)]
    for name in "bc":
        with pytest.raises(SinkError, match=rf"column '{name}' is computed by the table .* \(leave it out\)"):
            append(path, {name: pa.array([5])})


def test_a_csv_file_is_appended_to_a_table_with_types(path: Path, tmp_path: Path) -> None:
    """Its columns are text; the numbers are numbers in the table, and the dates are dates."""
    run(path, "CREATE TABLE t (a INT, d DATE, p DECIMAL(9,2), r REAL)")
    (tmp_path / "rows.csv").write_text("a,d,p,r\n1,2024-01-02,1.10,0.5\n-7,2024-01-03,20,1e3\n")
    copy(f"{tmp_path}/rows.csv", f"sqlite:///{path}", to_table="t", if_exists="append")
    assert run(path, "SELECT * FROM t") == [(1, "2024-01-02", 1.1, 0.5), (-7, "2024-01-03", 20, 1000.0)]
    (tmp_path / "rows.csv").write_text("a,d,p,r\n2,2024-01-02,1.10,0.5\n007,2024-01-03,20,1e3\n")
    with pytest.raises(SinkError, match=r"column 'a' can not be loaded: '007' would be another in the table's INT"):
        copy(f"{tmp_path}/rows.csv", f"sqlite:///{path}", to_table="t", if_exists="append")
    assert run(path, "SELECT count(*) FROM t") == [(2,)]


def test_a_double_of_minus_zero_is_zero_in_a_real_column(path: Path) -> None:
    """SQLite keeps whole doubles as integers there, which have no sign at zero; a column without a type keeps it."""
    for declared, sign in [("REAL", 1.0), ("NUMERIC", 1.0), ("", -1.0)]:
        [(stored, _)] = appended(path, declared, pa.array([-0.0]))
        assert (stored, math.copysign(1, stored)) == (0, sign)
