"""`penstock.preview` tells what would come to be at a destination: columns of a new table, parts of an upload."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import penstock
from penstock.connectors.objects import part_plan
from penstock.flow.description import ColumnType, Description
from penstock.flow.estimates import estimated_stored_bytes
from tests.engines.parts import BytesSource, DescribedSource, MemoryTable

if TYPE_CHECKING:
    from tests.servers.mariadb import MariaDbDatabase
    from tests.servers.postgres import PostgresDatabase
    from tests.servers.s3 import S3Server

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")

MIB = 1 << 20
GIB = 1 << 30
TYPES = {
    "id": (pa.int64(), 1),
    "small": (pa.uint16(), 2),
    "price": (pa.decimal128(12, 2), Decimal("1.25")),
    "share": (pa.float64(), 0.5),
    "name": (pa.string(), "one"),
    "data": (pa.binary(), b"\x00\xff"),
    "day": (pa.date32(), date(2026, 1, 2)),
    "moment": (pa.timestamp("us", "UTC"), datetime(2026, 1, 2, tzinfo=UTC)),
    "tags": (pa.list_(pa.string()), ["a"]),
}

LOADING = {"sqlite": "Arrow batches", "duckdb": "Arrow batches", "postgresql": "COPY", "mysql": "LOAD DATA"}


@pytest.fixture
def rows() -> Any:
    """One row of many types, as Arrow."""
    return pa.table({name: pa.array([value], kind) for name, (kind, value) in TYPES.items()})


def told(rows: Any, uri: str) -> tuple[str, ...]:
    """The types that the plan tells; then the copy is run."""
    seen = penstock.preview(penstock.plan(rows, uri, to_table="copied"))
    assert (seen.would, len(seen.column_types)) == ("run", len(TYPES))
    shown = str(seen)
    assert "in a new table" in shown
    assert f"loading:     {seen.loading}" in shown
    assert LOADING[uri.partition(":")[0]] in seen.loading == seen.to_dict()["loading"]
    for column, plain in zip(seen.column_types, seen.to_dict()["columns"], strict=True):
        assert column in shown
        assert plain["column_type"] == column
    assert penstock.copy(rows, uri, to_table="copied").rows == 1
    return seen.column_types


def creation(types: tuple[str, ...]) -> str:
    """A statement that makes a table of columns like these."""
    return f"CREATE TABLE told ({', '.join(f'{name} {kind}' for name, kind in zip(TYPES, types, strict=True))})"


def test_columns_of_a_table_of_sqlite(rows: Any, tmp_path: Path) -> None:
    """Those told are those created."""
    types = told(rows, f"sqlite:///{tmp_path}/out.db")
    with closing(sqlite3.connect(tmp_path / "out.db")) as connection:
        connection.execute(creation(types))
        copied, expected = (connection.execute(f"PRAGMA table_info({t})").fetchall() for t in ("copied", "told"))
    assert copied == expected
    assert types[:4] == ("INTEGER", "INTEGER", "TEXT", "REAL")


def test_columns_of_a_table_of_duckdb(rows: Any, tmp_path: Path) -> None:
    """Those told are those created."""
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    types = told(rows, f"duckdb:///{tmp_path}/out.duckdb")
    with duckdb.connect(str(tmp_path / "out.duckdb")) as connection:
        connection.execute(creation(types))
        copied, expected = (connection.execute(f"DESCRIBE {t}").fetchall() for t in ("copied", "told"))
    assert copied == expected
    assert types[:4] == ("BIGINT", "USMALLINT", "DECIMAL(12,2)", "DOUBLE")


def test_columns_of_a_table_of_postgres(rows: Any, postgres: PostgresDatabase) -> None:
    """Those told are those created, and telling leaves no session."""
    types = told(rows, postgres.uri)
    postgres.execute(creation(types))
    copied, expected = (
        postgres.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            f"WHERE attrelid = '{table}'::regclass AND attnum > 0 ORDER BY attnum"
        )
        for table in ("copied", "told")
    )
    assert copied == expected
    assert types[:4] == ("bigint", "integer", "numeric(12, 2)", "double precision")
    assert types[-2:] == ("timestamptz", "text[]")
    assert postgres.sessions() == []


def test_columns_of_a_table_of_mysql(rows: Any, mariadb: MariaDbDatabase) -> None:
    """Those told are those created."""
    types = told(rows, mariadb.uri)
    mariadb.execute(creation(types) + " DEFAULT CHARACTER SET utf8mb4")
    copied, expected = (mariadb.execute(f"SHOW COLUMNS FROM {table}") for table in ("copied", "told"))
    assert copied == expected
    assert types[:4] == ("BIGINT", "SMALLINT UNSIGNED", "DECIMAL(12,2)", "DOUBLE")


def test_a_column_only_its_values_can_tell(tmp_path: Path) -> None:
    """Has no type yet, and those beside it have theirs."""
    with closing(sqlite3.connect(tmp_path / "in.db")) as connection, connection:
        connection.execute("CREATE TABLE t (a INTEGER, b, c TEXT)")
    plan = penstock.plan(f"sqlite:///{tmp_path}/in.db", f"sqlite:///{tmp_path}/out.db", table="t", to_table="t")
    seen = penstock.preview(plan)
    assert seen.column_types == ("INTEGER", "", "TEXT")
    assert [column["column_type"] for column in seen.to_dict()["columns"]] == ["INTEGER", None, "TEXT"]
    assert json.loads(json.dumps(seen.to_dict()))["columns"][0]["name"] == "a"


def test_a_column_no_table_can_hold(tmp_path: Path) -> None:
    """Is told before the copy fails of it; what is in the way already comes first."""
    rows = pa.table({"odd": pa.array([None], pa.month_day_nano_interval())})
    uri = f"sqlite:///{tmp_path}/out.db"
    seen = penstock.preview(penstock.plan(rows, uri, to_table="t"))
    assert (seen.would, seen.destination) == ("fail", "can not hold a column, so this copy would fail")
    assert "column 'odd' is month_day_nano_interval" in str(seen.sink_error)
    with pytest.raises(penstock.SinkError, match="column 'odd'"):
        penstock.copy(rows, uri, to_table="t")
    penstock.copy([{"a": 1}], uri, to_table="t")
    assert isinstance(penstock.preview(penstock.plan(rows, uri, to_table="t")).sink_error, penstock.AlreadyExists)


def test_a_table_sink_that_does_not_tell() -> None:
    """Is no failure: the columns are shown without."""
    seen = penstock.preview(penstock.plan([{"a": 1}], MemoryTable()))
    assert (seen.would, seen.column_types, seen.loading) == ("run", (), "")
    assert seen.to_dict()["loading"] is None
    assert seen.to_dict()["columns"][0]["column_type"] is None


@pytest.fixture
def store(s3_server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Address of an object in a real store."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{bucket}/rows.ndjson"


@pytest.mark.parametrize("stored_bytes", [1, 16 * MIB, 16 * MIB + 1, 300 * MIB, 40 * GIB])
def test_parts_of_an_upload(store: str, stored_bytes: int) -> None:
    """As many as the sink's own plan makes of as many bytes; and how far that reaches."""
    source = DescribedSource(Description("", estimated_bytes=stored_bytes))
    seen = penstock.preview(penstock.plan(source, store))
    parts = part_plan(store, 16 * MIB, 4)
    assert seen.estimated_parts == parts.parts_for(stored_bytes)
    assert seen.largest_object_bytes == parts.largest_object_bytes
    [line] = [line for line in str(seen).splitlines() if line.startswith("parts:")]
    assert f"about {seen.estimated_parts:,} (an estimate, if about " in line
    assert line.endswith(" TiB at most")
    plain = seen.to_dict()
    assert (plain["estimated_stored_bytes"], plain["estimated_parts"]) == (stored_bytes, seen.estimated_parts)


def test_parts_of_an_upload_that_is_really_made(store: str, tmp_path: Path) -> None:
    """The estimate from a file is what the copy of it comes to."""
    path = tmp_path / "rows.ndjson"
    path.write_bytes(b"".join(b'{"id":%d}\n' % number for number in range(1_000_000)))
    plan = penstock.plan(path, store, part_size="5MiB")
    seen = penstock.preview(plan)
    report = penstock.copy(path, store, part_size="5MiB")
    assert seen.estimated_parts == report.details["parts"] == 3


def test_too_large_for_one_object(store: str) -> None:
    """Is said, with how much is not."""
    source = DescribedSource(Description("", estimated_bytes=1 << 50))
    seen = penstock.preview(penstock.plan(source, store))
    assert seen.estimated_parts is None
    assert "parts:       too many for one object (an estimate, if about 1024.0 TiB are stored)" in str(seen)


def test_parts_nobody_knows_of(store: str) -> None:
    """The largest object is told all the same; where nothing is uploaded in parts, there is no such line."""
    seen = penstock.preview(penstock.plan(BytesSource([]), store))
    assert (seen.estimated_stored_bytes, seen.estimated_parts) == (None, None)
    assert "parts:       nobody knows how many yet; an object of " in str(seen)


def test_a_file_has_no_parts(tmp_path: Path) -> None:
    """There is no such line, and no such number."""
    seen = penstock.preview(penstock.plan([{"a": 1}], tmp_path / "out.csv"))
    assert "parts:" not in str(seen)
    assert (seen.estimated_parts, seen.largest_object_bytes) == (None, None)


@pytest.mark.parametrize(
    ("description", "stored_bytes"),
    [
        (Description("", estimated_bytes=7, estimated_rows=1000), 7),
        (Description("", estimated_rows=1000), None),
        (Description("", columns=(ColumnType("a", "", ""),)), None),
        (Description("", estimated_rows=1000, columns=(ColumnType("a", "", ""),)), 32_000),
        (
            Description(
                "",
                estimated_rows=1000,
                columns=tuple(
                    ColumnType(str(kind), "", str(kind), data_type=kind)
                    for kind in (pa.bool_(), pa.int16(), pa.timestamp("us"), pa.decimal128(9, 2), pa.string())
                ),
            ),
            1000 * (1 + 2 + 8 + 16 + 32),
        ),
    ],
)
def test_stored_bytes_are_estimated(description: Description, stored_bytes: int | None) -> None:
    """From what the source holds, else from its rows and their types, else not at all."""
    assert estimated_stored_bytes(description) == stored_bytes
