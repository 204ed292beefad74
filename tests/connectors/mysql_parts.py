"""What the tests of MySQL share: sources and sinks of a database, streams to load, and a clean environment."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa

from penstock import connectors, formats
from penstock.flow.contracts import Source, TableSink
from tests.connectors.parts import source_of
from tests.core.threads import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.servers.mariadb import MariaDbDatabase

MANY = "SELECT seq AS i, md5(seq) AS h FROM seq_1_to_100000000"
SLEEP = "SELECT sleep(600)"


class Loaded:
    """A batch stream of tables and batches; one that is an exception is raised."""

    def __init__(self, first: pa.Table | pa.Schema, *more: pa.Table | BaseException) -> None:
        self._parts = (first, *more) if isinstance(first, pa.Table) else more
        self.schema: pa.Schema = first.schema if isinstance(first, pa.Table) else first
        self.given = 0

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for part in self._parts:
            if isinstance(part, BaseException):
                raise part
            for batch in part.to_batches():
                self.given += 1
                yield batch


def table_sink(database: MariaDbDatabase, table: str = "t", **options: Any) -> TableSink:
    """A sink for a table of ``database``."""
    uri = options.pop("uri", database.uri)
    request = connectors.SinkRequest(uri=uri, formats=formats, table=table, **options)
    return cast(TableSink, connectors.open_sink(request))


def query(database: MariaDbDatabase, text: str, **options: object) -> Source:
    """A source that reads a query."""
    return source_of(database.uri, query=text, **options)


def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Neither variables nor an option file of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("MYSQL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))


def running(database: MariaDbDatabase) -> list[str]:
    """Queries of its sessions."""
    return [text for _command, text in database.sessions() if text]


def nobody_left(database: MariaDbDatabase) -> None:
    """Wait until the server has noticed that everybody is gone, which takes it a moment."""
    wait_until(lambda: database.sessions() == [])


def make(database: MariaDbDatabase, *statements: str) -> None:
    """Run statements, in a session that lets dates in that do not exist."""
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'")
        for statement in statements:
            cursor.execute(statement)


def first_of(iterable: Iterable[Any]) -> Any:
    """The first element."""
    return next(iter(iterable))
