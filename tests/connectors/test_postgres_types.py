"""PostgreSQL's types, golden: what each value becomes in Arrow, CSV and NDJSON, from a real server and back into it."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from penstock import formats
from penstock.connectors.postgres._types import TYPE_TABLE
from penstock.errors import ConfigurationError
from tests.connectors.parts import read_bytes, read_rows, read_table, source_of
from tests.connectors.postgres_parts import either_way, encoded, environment, load, nothing_left, query

if TYPE_CHECKING:
    from tests.servers.postgres import PostgresDatabase

__all__ = ["either_way", "environment", "nothing_left"]

UTC = dt.UTC
EVERY_CONTROL_CHARACTER = "".join(map(chr, [*range(1, 32), 127]))
ODD_TEXTS = [
    None,
    "",
    "NULL",
    "\\N",
    "\\.",
    "a\n\\.\nb",
    '"',
    '""',
    'it\'s "quoted", twice\\',
    "a,b;c\td|e",
    "\r",
    "\r\n",
    "\n",
    " leading and trailing ",
    "\ufeffa mark that is data",
    "\u2028\u2029\u0085",
    "日本 \U0001f40d e\u0301",
    EVERY_CONTROL_CHARACTER,
]


@dataclass(frozen=True)
class Golden:
    """One value: an expression in SQL, what it is in Arrow, in CSV as the server writes it, and in NDJSON."""

    sql: str
    arrow_type: str
    value: object
    csv: str
    json: str

    @property
    def is_nested(self) -> bool:
        """Whether it is an array or composite, which is read as JSON."""
        return self.sql.startswith(("ARRAY", "ROW")) or self.sql.endswith("[]")


GOLDEN = [
    Golden("true", "bool", True, "t", "true"),
    Golden("false", "bool", False, "f", "false"),
    Golden("(-32768)::int2", "int16", -32768, "-32768", "-32768"),
    Golden("(-2147483648)::int4", "int32", -(2**31), "-2147483648", "-2147483648"),
    Golden("9223372036854775807", "int64", 2**63 - 1, "9223372036854775807", "9223372036854775807"),
    Golden("(-9223372036854775808)::int8", "int64", -(2**63), "-9223372036854775808", "-9223372036854775808"),
    Golden("4294967295::oid", "int64", 2**32 - 1, "4294967295", "4294967295"),
    Golden("0.1::float8", "double", 0.1, "0.1", "0.1"),
    Golden("'1e-323'::float8", "double", 1e-323, "1e-323", "1.0e-323"),
    Golden(
        "'1.7976931348623157e308'::float8",
        "double",
        1.7976931348623157e308,
        "1.7976931348623157e+308",
        "1.7976931348623157e308",
    ),
    Golden("'-0'::float8", "double", -0.0, "-0", "-0.0"),
    Golden("'NaN'::float8", "double", float("nan"), "NaN", '"NaN"'),
    Golden("'Infinity'::float8", "double", float("inf"), "Infinity", '"Infinity"'),
    Golden("'-Infinity'::float4", "float", float("-inf"), "-Infinity", '"-Infinity"'),
    Golden("16777217::float4", "float", 16777216.0, "1.6777216e+07", "16777216.0"),
    Golden("1.10::numeric(10, 2)", "decimal128(10, 2)", Decimal("1.10"), "1.10", "1.10"),
    Golden("(-0.00)::numeric(10, 2)", "decimal128(10, 2)", Decimal("0.00"), "0.00", "0.00"),
    Golden(
        "99999999999999999999999999999999999999::numeric(38, 0)",
        "decimal128(38, 0)",
        Decimal(10**38 - 1),
        "9" * 38,
        "9" * 38,
    ),
    Golden("0.5::numeric(2, 2)", "decimal128(2, 2)", Decimal("0.50"), "0.50", "0.50"),
    Golden("1::numeric(39, 1)", "string", "1.0", "1.0", '"1.0"'),
    Golden("12345::numeric(5, -2)", "string", "12300", "12300", '"12300"'),
    Golden("0.00012::numeric(2, 5)", "string", "0.00012", "0.00012", '"0.00012"'),
    Golden("1e-30::numeric", "string", "0." + "0" * 29 + "1", "0." + "0" * 29 + "1", '"0.' + "0" * 29 + '1"'),
    Golden("'NaN'::numeric", "string", "NaN", "NaN", '"NaN"'),
    Golden("'-Infinity'::numeric", "string", "-Infinity", "-Infinity", '"-Infinity"'),
    Golden("'0001-01-01'::date", "date32[day]", dt.date.min, "0001-01-01", '"0001-01-01"'),
    Golden("'9999-12-31'::date", "date32[day]", dt.date.max, "9999-12-31", '"9999-12-31"'),
    Golden(
        "'9999-12-31 23:59:59.999999'::timestamp",
        "timestamp[us]",
        dt.datetime(9999, 12, 31, 23, 59, 59, 999999),  # noqa: DTZ001 - a timestamp without a zone has none
        "9999-12-31 23:59:59.999999",
        '"9999-12-31T23:59:59.999999"',
    ),
    Golden(
        "'2024-01-02 03:04:05+05:45'::timestamptz",
        "timestamp[us, tz=UTC]",
        dt.datetime(2024, 1, 1, 21, 19, 5, tzinfo=UTC),
        "2024-01-01 21:19:05+00",
        '"2024-01-01T21:19:05Z"',
    ),
    Golden(
        "'1883-11-18 12:00:00 America/New_York'::timestamptz",  # an offset with seconds
        "timestamp[us, tz=UTC]",
        dt.datetime(1883, 11, 18, 17, 0, tzinfo=UTC),
        "1883-11-18 17:00:00+00",
        '"1883-11-18T17:00:00Z"',
    ),
    Golden("'23:59:59.999999'::time", "time64[us]", dt.time.max, "23:59:59.999999", '"23:59:59.999999"'),
    Golden("'24:00:00-15:59'::timetz", "string", "24:00:00-15:59", "24:00:00-15:59", '"24:00:00-15:59"'),
    Golden(
        "'1 year -2 months 3 days -04:05:06.000007'::interval",
        "string",
        "P10M3DT-4H-5M-6.000007S",
        "P10M3DT-4H-5M-6.000007S",
        '"P10M3DT-4H-5M-6.000007S"',
    ),
    Golden("''", "string", "", '""', '""'),
    Golden("NULL", "string", None, "", "null"),
    Golden("NULL::int", "int32", None, "", "null"),
    Golden("'x'::char(3)", "string", "x  ", "x  ", '"x  "'),
    Golden("'x'::\"char\"", "string", "x", "x", '"x"'),
    Golden("'\\x00ff'::bytea", "binary", b"\0\xff", "AP8=", '"AP8="'),
    Golden("''::bytea", "binary", b"", '""', '""'),
    Golden("NULL::bytea", "binary", None, "", "null"),
    Golden("'{\"a\" :  1.0}'::json", "string", '{"a" :  1.0}', '"{""a"" :  1.0}"', '"{\\"a\\" :  1.0}"'),
    Golden(
        '\'{"b": 1, "a": 1e2}\'::jsonb',
        "string",
        '{"a": 100, "b": 1}',
        '"{""a"": 100, ""b"": 1}"',
        '"{\\"a\\": 100, \\"b\\": 1}"',
    ),
    Golden(
        "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid",
        "string",
        *["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"] * 2,
        '"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"',
    ),
    Golden("'{1,NULL,3}'::int[]", "string", "[1,null,3]", '"[1,null,3]"', '"[1,null,3]"'),
    Golden("'{{1,2},{3,NULL}}'::int[]", "string", "[[1,2],[3,null]]", '"[[1,2],[3,null]]"', '"[[1,2],[3,null]]"'),
    Golden("'{}'::text[]", "string", "[]", "[]", '"[]"'),
    Golden(
        "ARRAY['a\"b', '', NULL, 'NULL']",
        "string",
        '["a\\"b","",null,"NULL"]',
        '"[""a\\""b"","""",null,""NULL""]"',
        '"[\\"a\\\\\\"b\\",\\"\\",null,\\"NULL\\"]"',
    ),
    Golden("ARRAY['NaN'::numeric, 1.10]", "string", '["NaN",1.10]', '"[""NaN"",1.10]"', '"[\\"NaN\\",1.10]"'),
    Golden("'ok'::mood", "string", "ok", "ok", '"ok"'),
    Golden("1.1::cents", "decimal128(12, 2)", Decimal("1.10"), "1.10", "1.10"),
    Golden("ROW(1, NULL)::pair", "string", '{"a":1,"b":null}', '"{""a"":1,""b"":null}"', '"{\\"a\\":1,\\"b\\":null}"'),
    Golden("'[1,5)'::int4range", "string", "[1,5)", '"[1,5)"', '"[1,5)"'),
    Golden("'{[1,2),[4,5)}'::int4multirange", "string", "{[1,2),[4,5)}", '"{[1,2),[4,5)}"', '"{[1,2),[4,5)}"'),
    Golden("'(1,2)'::point", "string", "(1,2)", '"(1,2)"', '"(1,2)"'),
    Golden("'10.0.0.1/8'::inet", "string", "10.0.0.1/8", "10.0.0.1/8", '"10.0.0.1/8"'),
    Golden("'10.0.0.0/8'::cidr", "string", "10.0.0.0/8", "10.0.0.0/8", '"10.0.0.0/8"'),
    Golden("'08:00:2b:01:02:03'::macaddr", "string", "08:00:2b:01:02:03", "08:00:2b:01:02:03", '"08:00:2b:01:02:03"'),
    Golden("B'0101'", "string", "0101", "0101", '"0101"'),
    Golden("B'10'::varbit(5)", "string", "10", "10", '"10"'),
    Golden("1234.5::money", "string", "$1,234.50", '"$1,234.50"', '"$1,234.50"'),
    Golden("'a & b'::tsquery", "string", "'a' & 'b'", "'a' & 'b'", "\"'a' & 'b'\""),
    Golden("'16/B374D848'::pg_lsn", "string", "16/B374D848", "16/B374D848", '"16/B374D848"'),
]
XML = Golden("'<a>1</a>'::xml", "string", "<a>1</a>", "<a>1</a>", '"<a>1</a>"')


@pytest.fixture
def golden(postgres: PostgresDatabase) -> list[Golden]:
    """Every value this server can have, in one row of the view ``golden``: columns c0, c1, ..."""
    postgres.execute("CREATE TYPE mood AS ENUM ('sad', 'ok')")
    postgres.execute("CREATE DOMAIN cents AS numeric(12, 2)")
    postgres.execute("CREATE TYPE pair AS (a int, b text)")
    values = [*GOLDEN, XML] if _has_xml(postgres) else GOLDEN
    columns = ", ".join(f"{golden.sql} AS c{index}" for index, golden in enumerate(values))
    postgres.execute(f"CREATE VIEW golden AS SELECT {columns}")
    return values


def _has_xml(database: PostgresDatabase) -> bool:
    """Whether the server was built with libxml."""
    import psycopg

    try:
        database.execute("SELECT '<a/>'::xml")
    except psycopg.errors.FeatureNotSupported:
        return False
    return True


def by_column(golden: list[Golden], attribute: str) -> dict[str, Any]:
    """One attribute of every value, as a row."""
    return {f"c{index}": getattr(value, attribute) for index, value in enumerate(golden)}


def test_values_and_types_in_arrow(postgres: PostgresDatabase, golden: list[Golden]) -> None:
    """Every value is the one the server has, in the type that the table of types says."""
    table = read_table(source_of(postgres.uri, table="golden"))
    assert {field.name: str(field.type) for field in table.schema} == by_column(golden, "arrow_type")
    (row,) = table.to_pylist()
    assert {name: _exactly(value) for name, value in row.items()} == {
        name: _exactly(value) for name, value in by_column(golden, "value").items()
    }


def _exactly(value: object) -> object:
    """Something that is equal for NaN and NaN, and not for 0.0 and -0.0, nor for 1.1 and 1.10."""
    return repr(value) if isinstance(value, float | Decimal) else value


@pytest.mark.usefixtures("either_way")
def test_values_in_the_servers_csv(postgres: PostgresDatabase, golden: list[Golden]) -> None:
    """What passes through is what the server writes, field by field."""
    text = read_bytes(source_of(postgres.uri, table="golden")).decode()
    names = ",".join(f"c{index}" for index in range(len(golden)))
    assert text == names + "\n" + ",".join(value.csv for value in golden) + "\n"


def test_values_in_ndjson(postgres: PostgresDatabase, golden: list[Golden]) -> None:
    """Numbers keep their digits, what JSON has no number for is a string, NULL is null."""
    text = encoded(read_table(source_of(postgres.uri, table="golden")), "ndjson").decode()
    parse = {"parse_float": str, "parse_int": str}
    expected = {f"c{index}": json.loads(value.json, **parse) for index, value in enumerate(golden)}
    assert json.loads(text, **parse) == expected


def test_the_csv_that_is_encoded_reads_back_the_same(postgres: PostgresDatabase, golden: list[Golden]) -> None:
    """A copy that goes through Arrow for some reason loses nothing that the direct one has."""
    direct = read_table(source_of(postgres.uri, table="golden"))
    with formats.format_by_name("csv").decode(pa.BufferReader(encoded(direct, "csv")), direct.schema) as batches:
        again = pa.Table.from_batches(list(batches))
    assert again.schema == direct.schema
    assert repr(again.to_pylist()) == repr(direct.to_pylist())


def test_what_was_read_can_be_loaded_and_read_again(postgres: PostgresDatabase, golden: list[Golden]) -> None:
    """Out of PostgreSQL, into it, out of it: equal, types too."""
    first = read_table(source_of(postgres.uri, table="golden"))
    assert load(postgres, first, "again").details == {"rows": 1, "table": "again"}
    second = read_table(source_of(postgres.uri, table="again"))
    assert second.schema == first.schema
    assert repr(second.to_pylist()) == repr(first.to_pylist())


def test_a_table_loaded_into_its_own_kind_is_the_same(postgres: PostgresDatabase, golden: list[Golden]) -> None:
    """Text of a uuid, an inet, an enum goes back into columns of these types, as far as it is their text."""
    postgres.execute("CREATE TABLE typed AS SELECT * FROM golden WHERE false")
    kept = [f"c{index}" for index, value in enumerate(golden) if not value.is_nested]
    load(postgres, read_table(source_of(postgres.uri, table="golden", columns=kept)), "typed", if_exists="append")
    columns = ", ".join(f"{name}::text" for name in kept)
    assert postgres.execute(f"SELECT {columns} FROM golden EXCEPT SELECT {columns} FROM typed") == []


@pytest.mark.parametrize("format_name", ["batches", "csv"])
def test_odd_texts_come_through_both_ways(postgres: PostgresDatabase, format_name: str) -> None:
    """Every control character, quotes, marks of ends that are none, NULL apart from '': out, in, and out again."""
    rows = [{"n": number, "t": text, "u": text} for number, text in enumerate(ODD_TEXTS)]
    load(postgres, pa.Table.from_pylist(rows), "odd")
    asked = [
        (number, None if text is None else text.encode())
        for number, text in postgres.execute("SELECT n, t FROM odd ORDER BY n")
    ]
    assert asked == [(row["n"], None if row["t"] is None else row["t"].encode()) for row in rows]
    source = query(postgres, "SELECT t, n, u FROM odd ORDER BY n")
    expected = [(row["t"], row["n"], row["u"]) for row in rows]
    if format_name == "batches":
        assert [tuple(row.values()) for row in read_rows(source)] == expected
        return
    schema = pa.schema([("t", pa.string()), ("n", pa.int64()), ("u", pa.string())])
    with formats.format_by_name("csv").decode(pa.BufferReader(read_bytes(source)), schema) as batches:
        assert [tuple(row.values()) for batch in batches for row in batch.to_pylist()] == expected


@pytest.mark.parametrize("text", ["", "\ufeff", "\n", "\\.", None])
def test_a_single_column_of_almost_nothing(postgres: PostgresDatabase, text: str | None) -> None:
    """An empty line is a NULL and not the end, a mark at the very beginning is data."""
    rows = [{"t": text}, {"t": "x"}, {"t": text}]
    load(postgres, pa.Table.from_pylist(rows, pa.schema([("t", pa.string())])), "single")
    assert read_rows(source_of(postgres.uri, table="single")) == rows


def test_no_rows_have_columns_and_types(postgres: PostgresDatabase) -> None:
    """In CSV the header, in Arrow the schema; and they can be loaded."""
    text = "SELECT 1 AS a, ''::bytea AS b, '{}'::int[] AS c WHERE false"
    assert read_bytes(query(postgres, text)) == b"a,b,c\n"
    table = read_table(query(postgres, text))
    assert table.schema == pa.schema([("a", pa.int32()), ("b", pa.binary()), ("c", pa.string())])
    assert load(postgres, table).details["rows"] == 0
    assert read_table(source_of(postgres.uri, table="t")).equals(table)


def test_no_columns_have_rows_all_the_same(postgres: PostgresDatabase) -> None:
    """A table without columns has as many rows as it has; as CSV they would be lost, which is an error, if there are any."""
    postgres.execute("CREATE TABLE bare ()")
    postgres.execute("INSERT INTO bare SELECT FROM generate_series(1, 3)")
    source = source_of(postgres.uri, table="bare")
    with source.open_batches() as batches:
        assert batches.schema.names == []
        assert sum(batch.num_rows for batch in batches) == 3
    with pytest.raises(ConfigurationError, match="bare: there are rows without columns, which CSV can not hold"):
        read_bytes(source_of(postgres.uri, table="bare"))
    assert read_bytes(source_of(postgres.uri, table="bare", where="false")) == b""


def test_as_many_columns_as_there_can_be(postgres: PostgresDatabase) -> None:
    """1,600: out in both ways, and in."""
    columns = ", ".join(f"{index} AS c{index}" for index in range(1600))
    data = read_table(query(postgres, f"SELECT {columns}"))
    assert data.to_pylist() == [{f"c{index}": index for index in range(1600)}]
    load(postgres, data, "broad")
    assert (
        read_bytes(source_of(postgres.uri, table="broad"))
        == (",".join(f"c{index}" for index in range(1600)) + "\n" + ",".join(map(str, range(1600))) + "\n").encode()
    )


@pytest.mark.parametrize("mebibytes", [8, pytest.param(64, marks=pytest.mark.slow)])
def test_one_large_value_of_each_kind(postgres: PostgresDatabase, mebibytes: int) -> None:
    """Text and bytes of many megabytes come through, to CSV, NDJSON, Arrow, and back in."""
    size = mebibytes << 20
    text = f"SELECT repeat('ab\"\n', {size // 4}) AS t, 1 AS one"
    table = read_table(query(postgres, text))
    assert table["t"][0].as_py() == 'ab"\n' * (size // 4)
    assert read_bytes(query(postgres, text)) == b't,one\n"' + b'ab""\n' * (size // 4) + b'",1\n'
    assert len(encoded(table, "ndjson")) > size
    load(postgres, table)
    del table
    assert postgres.execute("SELECT length(t), md5(t) = md5(repeat(E'ab\"\\n', %s)) FROM t", [size // 4]) == [
        (size, True)
    ]
    blob = f"SELECT decode(repeat('00ff', {size // 2}), 'hex') AS b"
    table = read_table(query(postgres, blob))
    assert table["b"][0].as_py() == b"\0\xff" * (size // 2)
    load(postgres, table, "blobs")
    assert postgres.execute("SELECT length(b), b = decode(repeat('00ff', %s), 'hex') FROM blobs", [size // 2]) == [
        (size, True)
    ]


def test_the_table_of_types_says_what_is_so(postgres: PostgresDatabase, golden: list[Golden]) -> None:
    """Every Arrow type that a value can have stands in it."""
    told = " ".join(row.arrow for row in TYPE_TABLE)
    for value in golden:
        name = value.arrow_type.partition("(")[0].replace("date32[day]", "date32").replace("tz=UTC", "UTC")
        assert name in told
