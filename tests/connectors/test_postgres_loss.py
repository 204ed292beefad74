"""Values that PostgreSQL has and Arrow's type has not: an error, NULL and counted, or text."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from penstock.errors import SourceError
from penstock.flow.losses import Losses
from tests.connectors.parts import read_bytes, read_rows, read_table, source_of
from tests.connectors.postgres_parts import environment, nothing_left, one_postgres, query

if TYPE_CHECKING:
    from tests.servers.postgres import PostgresDatabase

__all__ = ["environment", "nothing_left", "one_postgres"]

LOST = [
    ("'NaN'::numeric(10, 2)", "NaN", "decimal128(10, 2)", "NaN"),
    ("'infinity'::date", "infinity", "date32[day]", "infinity"),
    ("'0044-03-15 BC'::date", "0044-03-15 BC", "date32[day]", "a date BC"),
    ("'10000-01-01'::date", "10000-01-01", "date32[day]", "a year beyond 9999"),
    ("'5874897-12-31'::date", "5874897-12-31", "date32[day]", "a year beyond 9999"),
    ("'-infinity'::timestamp", "-infinity", "timestamp[us]", "-infinity"),
    ("'4713-01-01 00:00 BC'::timestamp", "4713-01-01 00:00:00 BC", "timestamp[us]", "a date BC"),
    ("'infinity'::timestamptz", "infinity", "timestamp[us, tz=UTC]", "infinity"),
    (
        "'294276-12-31 23:59:59.999999+00'::timestamptz",
        "294276-12-31 23:59:59.999999+00",
        "timestamp[us, tz=UTC]",
        "a year beyond 9999",
    ),
    ("'0001-12-31 23:00:00+00 BC'::timestamptz", "0001-12-31 23:00:00+00 BC", "timestamp[us, tz=UTC]", "a date BC"),
    ("'24:00:00'::time", "24:00:00", "time64[us]", "24:00:00"),
]


def among_others(expression: str) -> str:
    """A query whose fifth row has the value in column v, all others a good one or NULL."""
    good = {"numeric(10, 2)": "1.50", "date": "2024-02-29", "time": "03:04:05"}
    kind = expression.rpartition("::")[2]
    value = good.get(kind, "2024-02-29 03:04:05.000006")
    return (
        f"SELECT i, (CASE i WHEN 5 THEN {expression} WHEN 6 THEN NULL ELSE '{value}'::{kind} END)::{kind} AS v, "
        "E'a\\nline' AS t FROM generate_series(1, 10) i"
    )


@pytest.mark.parametrize(("expression", "written", "arrow_type", "called"), LOST)
def test_what_does_not_fit(
    postgres: PostgresDatabase, expression: str, written: str, arrow_type: str, called: str
) -> None:
    """As asked for: an error that names row, column and value; NULL, told; or text, as the server writes it."""
    text = among_others(expression)
    with pytest.raises(SourceError) as caught:
        read_table(query(postgres, text))
    assert f"row 5: column 'v': {written} does not fit {arrow_type} (choose warn or text" in str(caught.value)

    losses = Losses()
    table = read_table(query(postgres, text, on_type_loss="warn", losses=losses))
    values = table["v"].to_pylist()
    assert str(table.schema.field("v").type) == arrow_type
    assert [index for index, value in enumerate(values, 1) if value is None] == [5, 6]
    assert len(set(values)) == 2
    assert [str(loss) for loss in losses.told()] == [
        f"column 'v': 1 value became NULL: {called} does not fit {arrow_type}"
    ]

    as_text = read_table(query(postgres, text, on_type_loss="text"))
    assert as_text.schema.field("v").type == pa.string()
    assert as_text["v"][4].as_py() == written
    assert f"\n5,{written}," in read_bytes(query(postgres, text)).decode()  # what passes through loses nothing


def test_good_values_are_what_they_would_be_without_the_others(postgres: PostgresDatabase) -> None:
    """Taking the bad ones out changes nothing of the rest, in any column, in any block."""
    text = (
        "SELECT i, (CASE WHEN i % 1000 = 0 THEN 'NaN' ELSE i / 8.0 END)::numeric(12, 3) AS n, "
        "CASE WHEN i % 1500 = 0 THEN 'infinity' ELSE '2000-01-01'::timestamptz + i * interval '1.000001 s' END AS t, "
        "CASE WHEN i % 7 = 0 THEN NULL ELSE '2000-01-01'::date + i END AS d, "
        "'00:00'::time + i * interval '1 s' AS o, decode(md5(i::text), 'hex') AS b "
        "FROM generate_series(1, 20000) i"
    )
    losses = Losses()
    rows = read_rows(query(postgres, text, on_type_loss="warn", losses=losses, batch_bytes=100_000))
    assert {(loss.column, loss.count) for loss in losses.told()} == {("n", 20), ("t", 13)}
    start = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
    for number, row in enumerate(rows, 1):
        assert row["i"] == number
        assert row["n"] == (None if number % 1000 == 0 else Decimal(number) / 8)
        assert row["t"] == (None if number % 1500 == 0 else start + number * dt.timedelta(seconds=1, microseconds=1))
        assert row["d"] == (None if number % 7 == 0 else dt.date(2000, 1, 1) + dt.timedelta(days=number))
        assert len(row["b"]) == 16


def test_the_first_of_several_is_named(postgres: PostgresDatabase) -> None:
    """By row, then by column; whatever block it is in."""
    text = (
        "SELECT (CASE WHEN i > 30001 THEN 'NaN' ELSE '1' END)::numeric(5, 2) AS a, "
        "CASE WHEN i > 29999 THEN 'infinity' ELSE '2024-02-29'::date END AS b FROM generate_series(1, 40000) i"
    )
    with pytest.raises(SourceError, match=r"row 30000: column 'b': infinity does not fit date32"):
        read_table(query(postgres, text, batch_bytes=64 << 10))


def test_text_leaves_other_columns_alone(postgres: PostgresDatabase) -> None:
    """Only types that could lose a value become text."""
    text = "SELECT 1 AS i, 1.5::float8 AS f, true AS b, 1.5::numeric(4, 2) AS n, ''::bytea AS x"
    schema = read_table(query(postgres, text, on_type_loss="text")).schema
    assert [str(field.type) for field in schema] == ["int32", "double", "bool", "string", "binary"]


def test_bytes_that_are_no_utf8_are_refused(postgres: PostgresDatabase) -> None:
    """A database without an encoding can hold anything; it is not passed on as text."""
    name = f"{postgres.name}_ascii"
    postgres.execute(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    try:
        uri = postgres.uri.rpartition("/")[0] + f"/{name}"
        with pytest.raises(SourceError, match="invalid byte sequence for encoding"):
            read_table(source_of(uri, query="SELECT convert_from('\\xff', 'SQL_ASCII') AS t"))
    finally:
        postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")
