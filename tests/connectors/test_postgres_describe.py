"""What `penstock plan` is told of PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from penstock.errors import SourceError
from penstock.flow.contracts import Describable
from penstock.flow.description import ColumnType, Description
from tests.connectors.parts import source_of
from tests.connectors.postgres_parts import environment, nothing_left

if TYPE_CHECKING:
    from tests.servers.postgres import PostgresDatabase

__all__ = ["environment", "nothing_left"]


@pytest.fixture
def things(postgres: PostgresDatabase) -> PostgresDatabase:
    """A table of a thousand rows, which the server knows."""
    postgres.execute(
        "CREATE TABLE things (id int, price numeric(12, 2), at timestamptz(3), tags text[], data bytea, v varchar(7))"
    )
    postgres.execute("INSERT INTO things SELECT i, i, now(), '{a,b}', '\\x00', 'v' FROM generate_series(1, 1000) i")
    postgres.execute("ANALYZE things")
    return postgres


def described(database: PostgresDatabase, format_name: str | None, **options: object) -> Description:
    """What the source says."""
    source = source_of(database.uri, **options)
    assert isinstance(source, Describable)
    return source.describe(format_name)


def test_batches(things: PostgresDatabase) -> None:
    """Each column with its type as the server calls it, and as Arrow does; what does not fit is said."""
    found = described(things, None, table="things")
    assert found.columns == (
        ColumnType("id", "integer", "int32"),
        ColumnType("price", "numeric(12,2)", "decimal128(12, 2)", "NaN: an error"),
        ColumnType(
            "at", "timestamp(3) with time zone", "timestamp[us, tz=UTC]", "infinity, BC, years beyond 9999: an error"
        ),
        ColumnType("tags", "text[]", "string", "JSON"),
        ColumnType("data", "bytea", "binary"),
        ColumnType("v", "character varying(7)", "string"),
    )
    assert found.reading == "COPY ... TO STDOUT (FORMAT csv), parsed into Arrow batches of up to 2.0 MiB"
    assert "one snapshot" in found.consistency
    assert found.estimated_rows == 1000
    assert 40_000 < (found.estimated_bytes or 0) < 200_000


def test_bytes(things: PostgresDatabase) -> None:
    """The server's own CSV has no Arrow types, and says what it writes odd types as."""
    found = described(things, "csv", table="things")
    assert found.reading == "COPY ... TO STDOUT (FORMAT csv, HEADER), bytes passed through"
    assert {column.arrow_type for column in found.columns} == {""}
    assert [(column.name, column.note) for column in found.columns if column.note] == [
        ("tags", "JSON"),
        ("data", "base64"),
    ]


def test_what_becomes_of_values_that_do_not_fit(things: PostgresDatabase) -> None:
    """As was asked for."""
    warned = described(things, None, table="things", on_type_loss="warn").columns[1]
    assert (warned.arrow_type, warned.note) == ("decimal128(12, 2)", "NaN: NULL, counted")
    text = described(things, None, table="things", on_type_loss="text").columns[1]
    assert (text.source_type, text.arrow_type, text.note) == ("numeric(12,2)", "string", "")


def test_a_query_is_planned_and_not_run(things: PostgresDatabase) -> None:
    """Not even one that would fail, or never end."""
    found = described(things, None, query="SELECT id, 1 / (id - id) AS x, pg_sleep(600) FROM things LIMIT 10")
    assert [column.source_type for column in found.columns] == ["integer", "integer", "void"]
    assert found.estimated_rows == 10


def test_no_columns(postgres: PostgresDatabase) -> None:
    """Is a description, too."""
    postgres.execute("CREATE TABLE bare ()")
    assert described(postgres, None, table="bare").columns == ()


@pytest.mark.parametrize(
    ("options", "said"),
    [({"table": "thing"}, "did you mean 'things'?"), ({"query": "DELETE FROM things"}, "the query returns no columns")],
)
def test_what_can_not_be_read_is_said(things: PostgresDatabase, options: dict[str, str], said: str) -> None:
    """As reading would."""
    with pytest.raises(SourceError) as caught:
        described(things, None, **options)
    assert said in str(caught.value)
