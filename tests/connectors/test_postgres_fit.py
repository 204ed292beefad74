"""Rows into a table of PostgreSQL that is there: what its types would round, cut or drop without a word is refused."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from penstock.errors import SinkError
from tests.connectors.postgres_parts import environment, load, nothing_left, one_postgres

if TYPE_CHECKING:
    from tests.servers.postgres import PostgresDatabase

__all__ = ["environment", "nothing_left", "one_postgres"]

AWARE = dt.datetime(2024, 2, 29, 3, 4, 5, 678901, tzinfo=dt.UTC)
NAIVE = AWARE.replace(tzinfo=None)
MIDNIGHT = dt.datetime(2024, 2, 29)  # noqa: DTZ001 - a timestamp without a zone has none
KATHMANDU = pa.timestamp("us", "Asia/Kathmandu")
DECIMAL = pa.decimal128(20, 3)
NAMES = pa.dictionary(pa.int8(), pa.string())
INTERVAL = pa.month_day_nano_interval()

BENT: list[tuple[pa.DataType, Any, str]] = [
    (DECIMAL, Decimal("1.239"), "numeric(10, 2)"),
    (pa.decimal256(60, 30), Decimal("1e-30"), "numeric(60, 29)"),
    (pa.decimal256(60, 3), Decimal("1234567890123456789012345678901234567890.125"), "numeric(60, 2)"),
    (pa.string(), "1234567890123456789012345678901234567890.125", "numeric(60, 2)"),
    (pa.float64(), 1.239, "numeric(10, 2)"),
    (pa.float64(), 1e-7, "numeric(10, 2)"),
    (pa.float16(), 0.125, "numeric(10, 2)"),
    (pa.string(), "1.239", "numeric(10, 2)"),
    (pa.string(), "1239e-3", "numeric(10, 2)"),
    (NAMES, "1.239", "numeric(10, 2)"),
    (pa.list_(pa.float64()), [1.0, 1.239], "numeric(10, 2)[]"),
    (DECIMAL, Decimal("1.239"), "price"),
    (pa.list_(NAMES), ["1.239"], "price[]"),
    (pa.int64(), 155, "numeric(5, -1)"),
    (DECIMAL, Decimal("1.239"), "money"),
    (pa.float64(), 0.1, "real"),
    (pa.float64(), 1e300, "real"),
    (pa.int64(), 2**24 + 1, "real"),
    (pa.int64(), 2**53 + 1, "double precision"),
    (pa.uint64(), 2**64 - 1, "double precision"),
    (DECIMAL, Decimal("12345678901234567.239"), "double precision"),
    (pa.string(), "9007199254740993", "double precision"),
    (pa.string(), " 0.12345678901234567890 ", "double precision"),
    (pa.string(), "16777217", "real"),
    (pa.string(), "1.23456789e-320", "double precision"),
    (pa.string(), "1.2345e-43", "real"),
    (pa.timestamp("us"), NAIVE, "date"),
    (KATHMANDU, AWARE, "date"),
    (pa.string(), "2024-02-29T03:04", "date"),
    (pa.string(), "2024-02-29 00:00:00.001", "date"),
    (pa.timestamp("us"), NAIVE, "time"),
    (KATHMANDU, AWARE, "timetz"),
    (pa.string(), "2024-02-29 03:04:05", "time"),
    (pa.timestamp("us"), NAIVE, "timestamp(3)"),
    (pa.timestamp("ns"), NAIVE, "timestamp(3)"),
    (KATHMANDU, AWARE, "timestamp(3)"),
    (KATHMANDU, AWARE, "timestamptz(0)"),
    (pa.string(), "2024-02-29T03:04:05.6789", "timestamp(3)"),
    (pa.string(), "2024-02-29T03:04:05+02:00", "timestamp"),
    (pa.list_(KATHMANDU), [AWARE], "timestamp[]"),
    (pa.time64("us"), NAIVE.time(), "time(3)"),
    (pa.duration("us"), dt.timedelta(microseconds=7), "interval(0)"),
    (pa.duration("us"), dt.timedelta(hours=1), "interval day"),
    (INTERVAL, pa.MonthDayNano([0, 0, 1000]), "interval(3)"),
    (pa.string(), "abc ", "varchar(3)"),
    (pa.string(), "abc ", "char(3)"),
    (pa.string(), "x" * 64, "name"),
    (pa.int64(), 12, '"char"'),
    (NAMES, "abc", "bytea"),
    (pa.list_(pa.string()), ["abc"], "bytea[]"),
    (pa.list_(pa.binary()), [b"abc"], "text[]"),
]

SAME: list[tuple[pa.DataType, Any, str, str]] = [
    (DECIMAL, Decimal("1.230"), "numeric(10, 2)", "1.23"),
    (pa.float64(), 123456789012345.67, "numeric(20, 2)", "123456789012345.67"),
    (pa.float64(), 1e22, "numeric(25, 2)", "10000000000000000000000.00"),
    (pa.float64(), math.nan, "numeric(10, 2)", "NaN"),
    (pa.int64(), 150, "numeric(5, -1)", "150"),
    (pa.string(), " 1.2300 ", "numeric(10, 2)", "1.23"),
    (pa.string(), "1e-2", "numeric(10, 2)", "0.01"),
    (
        pa.decimal256(60, 3),
        Decimal("12345678901234567890123456789012.120"),
        "numeric(60, 2)",
        "12345678901234567890123456789012.12",
    ),
    (pa.string(), "12345678901234567890123456789012e-2", "numeric(60, 2)", "123456789012345678901234567890.12"),
    (pa.string(), "0.000", "numeric(5, -1)", "0"),
    (pa.string(), "1200e0", "numeric(5, -2)", "1200"),
    (pa.list_(pa.decimal128(5, 3)), [Decimal("1.230"), None], "price[]", "{1.23,NULL}"),
    (pa.float64(), 0.5, "real", "0.5"),
    (pa.float64(), -math.inf, "real", "-Infinity"),
    (pa.float64(), math.nan, "real", "NaN"),
    (pa.float32(), 0.1, "double precision", "0.1"),
    (pa.int64(), 2**60, "double precision", "1.152921504606847e+18"),
    (pa.string(), "0.1", "real", "0.1"),
    (pa.string(), "0.30000000000000004", "double precision", "0.30000000000000004"),
    (pa.string(), "0.1000000000000000000", "double precision", "0.1"),
    (pa.timestamp("us"), MIDNIGHT, "date", "2024-02-29"),
    (pa.string(), "2024-02-29T00:00:00.000", "date", "2024-02-29"),
    (pa.string(), "03:04:05.5", "time", "03:04:05.5"),
    (KATHMANDU, AWARE, "timestamp", "2024-02-29 03:04:05.678901"),
    (pa.string(), "2024-02-29T03:04:05Z", "timestamp", "2024-02-29 03:04:05"),
    (pa.string(), "2024-02-29 03:04:05+00", "timestamp", "2024-02-29 03:04:05"),
    (pa.timestamp("us"), NAIVE.replace(microsecond=678000), "timestamp(3)", "2024-02-29 03:04:05.678"),
    (pa.duration("us"), dt.timedelta(milliseconds=7), "interval(3)", "00:00:00.007"),
    (INTERVAL, pa.MonthDayNano([1, 2, 3_000_000]), "interval(3)", "1 mon 2 days 00:00:00.003"),
    (pa.string(), "ab ", "varchar(3)", "ab "),
    (pa.list_(pa.string()), ["abc"], "documents", '["abc"]'),
]


@pytest.fixture(scope="module", autouse=True)
def domains(postgres: PostgresDatabase) -> None:
    """Types that are others by another name, one of them twice."""
    postgres.execute("CREATE DOMAIN amount AS numeric(10, 2)")
    postgres.execute("CREATE DOMAIN price AS amount CHECK (VALUE > 0)")
    postgres.execute("CREATE DOMAIN documents AS jsonb")
    postgres.execute(f"ALTER DATABASE \"{postgres.name}\" SET timezone TO 'UTC'")


def _prepared(postgres: PostgresDatabase, kind: pa.DataType, value: Any, column: str) -> pa.Table:
    """Make the table, and return rows for it: nothing, and the value, behind a slice's offset."""
    postgres.execute("DROP TABLE IF EXISTS t")
    postgres.execute(f"CREATE TABLE t (c {column})")
    return pa.table({"c": pa.array([value, None, value], kind)}).slice(1)


@pytest.mark.parametrize(("kind", "value", "column"), BENT)
def test_what_the_table_would_bend_is_refused(
    postgres: PostgresDatabase, kind: pa.DataType, value: Any, column: str
) -> None:
    """The column is named, and no row is there."""
    data = _prepared(postgres, kind, value, column)
    with pytest.raises(SinkError, match="column 'c'"):
        load(postgres, data, if_exists="append")
    assert postgres.execute("SELECT * FROM t") == []


@pytest.mark.parametrize(("kind", "value", "column", "text"), SAME)
def test_what_stays_the_same_is_loaded(
    postgres: PostgresDatabase, kind: pa.DataType, value: Any, column: str, text: str
) -> None:
    """It is the value that counts, not its type; NULL is always one."""
    load(postgres, _prepared(postgres, kind, value, column), if_exists="append")
    assert postgres.execute("SELECT c::text FROM t") == [(None,), (text,)]


def test_overwriting_keeps_the_types_and_refuses_as_much(postgres: PostgresDatabase) -> None:
    """The rows that were there stay."""
    data = _prepared(postgres, pa.float64(), 1.239, "numeric(10, 2)")
    postgres.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(SinkError, match=r"column 'c': 1\.239 has more than the 2 digits"):
        load(postgres, data, if_exists="overwrite")
    assert postgres.execute("SELECT * FROM t") == [(1,)]


def test_dictionaries_of_timestamps_are_taken_apart(postgres: PostgresDatabase) -> None:
    """They go to a column without a zone in UTC, as others do."""
    postgres.execute("DROP TABLE IF EXISTS t")
    postgres.execute("CREATE TABLE t (c timestamp)")
    load(postgres, pa.table({"c": pa.array([AWARE], KATHMANDU).dictionary_encode()}), if_exists="append")
    assert postgres.execute("SELECT c FROM t") == [(NAIVE,)]


def test_what_is_no_number_is_the_servers_to_refuse(postgres: PostgresDatabase) -> None:
    """With the line and the value, also where other values would have been looked at closely."""
    data = _prepared(postgres, pa.string(), "1234567890123456 or so", "double precision")
    with pytest.raises(SinkError, match="invalid input syntax for type double precision"):
        load(postgres, data, if_exists="append")


def test_a_table_that_is_made_takes_what_the_data_has(postgres: PostgresDatabase) -> None:
    """Nothing is in doubt there, nor in a table that replaces one with other columns."""
    postgres.execute("DROP TABLE IF EXISTS t")
    for _ in range(2):
        load(postgres, pa.table({"c": [0.1]}), if_exists="overwrite")
        assert postgres.execute("SELECT c FROM t") == [(0.1,)]
        postgres.execute("ALTER TABLE t ADD COLUMN d real")
