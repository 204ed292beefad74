"""Fixtures for every test of PostgreSQL (import them to have them), and short ways to read and to load."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from penstock import connectors, formats
from penstock.connectors.postgres._row_stream import RowStream
from penstock.flow.contracts import BatchStream, Receipt, Source, TableSink
from tests.connectors.parts import source_of
from tests.core.threads import wait_until
from tests.formats.streams import Collected, Table

if TYPE_CHECKING:
    from tests.servers.postgres import PostgresDatabase, PostgresServer


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of libpq's from outside."""
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def nothing_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """No session outlives a test by more than the moment the server needs to notice."""
    database = request.getfixturevalue("postgres") if "postgres" in request.fixturenames else None
    yield
    if database is not None:
        wait_until(lambda: database.sessions() == [])


@pytest.fixture(params=["past libpq", "by libpq"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows come as they mostly do, and as where libpq is not on Linux, or GSSAPI encrypts what it sends."""
    if request.param == "by libpq":
        monkeypatch.setattr(RowStream, "begins", lambda _self: False)


@pytest.fixture(scope="module", name="postgres")
def one_postgres(postgres_server: PostgresServer) -> Iterator[PostgresDatabase]:
    """One database for a whole module, whose tests leave nothing in it: making one takes longer than most tests."""
    database = postgres_server.new_database()
    yield database
    postgres_server.drop_database(database)


def query(database: PostgresDatabase, text: str, **options: object) -> Source:
    """The source of a query."""
    return source_of(database.uri, query=text, **options)


def running(database: PostgresDatabase) -> list[str]:
    """Queries that are active now."""
    return [text for state, text in database.sessions() if state == "active"]


def table_sink(database: PostgresDatabase, table: str = "t", **options: Any) -> TableSink:
    """The sink of a table."""
    request = connectors.SinkRequest(uri=database.uri, formats=formats, table=table, **options)
    sink = connectors.open_sink(request)
    assert isinstance(sink, TableSink)
    return sink


def load(database: PostgresDatabase, data: pa.Table | BatchStream, table: str = "t", **options: Any) -> Receipt:
    """Check, and load."""
    sink = table_sink(database, table, **options)
    assert sink.check()
    return sink.load(Table(data) if isinstance(data, pa.Table) else data)


def encoded(data: pa.Table, format_name: str) -> bytes:
    """What a format writes of it."""
    out = Collected()
    formats.format_by_name(format_name).encode(Table(data), out)
    return bytes(out)
