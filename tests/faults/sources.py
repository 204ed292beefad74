"""Sources that give 40,000 rows, or fail, stall or lose their connection near the end: real servers, all of them."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Protocol
from urllib.parse import urlsplit

import pytest

import penstock
from tests.faults.faults import OF_EVERY_PAIR, ROW_TEXT_BYTES, ROWS, Fault, Given, Ground
from tests.faults.neighbours import Upstream
from tests.servers.http import HttpServer, Reply
from tests.servers.proxy import Proxy, Trouble

__all__ = ["SOURCES", "SourceKit"]

FAULTY_ROW = 35_000
TEXT = "x" * ROW_TEXT_BYTES
CUT_AFTER_BYTES = 4 << 20


class SourceKit(Protocol):
    """One kind of source."""

    name: str
    faults: frozenset[Fault]

    def __init__(self, ground: Ground) -> None:
        """Start what is needed."""

    def given(self, fault: Fault) -> Given:
        """Return what to copy from, so that ``fault`` happens."""

    def left_behind(self) -> list[str]:
        """Return what the copy has left running or open at the server; nothing, or there is a bug."""


def _rows(count: int = ROWS) -> Iterator[dict[str, Any]]:
    return ({"id": number, "note": TEXT} for number in range(1, count + 1))


def _ndjson(count: int = ROWS) -> bytes:
    return b"".join(json.dumps(row, separators=(",", ":")).encode() + b"\n" for row in _rows(count))


class Iterable:
    """A Python generator."""

    name = "iterable"
    faults = frozenset(
        {Fault.NONE, Fault.DEADLINE, Fault.SOURCE_ERROR, Fault.STALLED_SOURCE}
    )  # no command line has one

    def __init__(self, ground: Ground) -> None:
        self._closed = True

    def given(self, fault: Fault) -> Given:
        return Given(self._generate(fault))

    def _generate(self, fault: Fault) -> Iterator[dict[str, Any]]:
        self._closed = False
        try:
            for row in _rows():
                if row["id"] == FAULTY_ROW and fault is Fault.SOURCE_ERROR:
                    raise penstock.SourceError("row 35000 is bad", where="generator")
                if row["id"] == FAULTY_ROW and fault is Fault.STALLED_SOURCE:
                    penstock.sleep(600)
                yield row
        finally:
            self._closed = True

    def left_behind(self) -> list[str]:
        return [] if self._closed else ["the generator is not closed"]


class File:
    """A gzipped NDJSON file."""

    name = "file"
    faults = OF_EVERY_PAIR | {Fault.SOURCE_ERROR}

    def __init__(self, ground: Ground) -> None:
        self._path = ground.folder / "rows.ndjson.gz"

    def given(self, fault: Fault) -> Given:
        data = gzip.compress(_ndjson(), 1)
        self._path.write_bytes(data[: -len(data) // 8] if fault is Fault.SOURCE_ERROR else data)
        return Given(str(self._path))

    def left_behind(self) -> list[str]:
        return []


class Stdin:
    """Standard input: a pipe that another program writes to, and which knows nothing but its end."""

    name = "stdin"
    faults = OF_EVERY_PAIR | {Fault.SOURCE_ERROR, Fault.STALLED_SOURCE, Fault.CUT_SOURCE}

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def given(self, fault: Fault) -> Given:
        """A record that is none, a program that writes no more, and one that dies: its gzip stops short."""
        name, data = "ndjson", _ndjson()
        if fault is Fault.SOURCE_ERROR:  # not as NDJSON, which would pass through to a sink that wants it, unread
            name, data = "json", b"[" + b",".join([*_ndjson(FAULTY_ROW - 1).splitlines(), b'{"id"}'])
        data = gzip.compress(data, 0)
        if fault in {Fault.STALLED_SOURCE, Fault.CUT_SOURCE}:
            data = data[:CUT_AFTER_BYTES]
        upstream = self._ground.troubles.enter_context(Upstream(data, holds=fault is Fault.STALLED_SOURCE))
        return Given("-", {"source_format": name, "source_compression": "gzip"}, stream=upstream.read_end)

    def left_behind(self) -> list[str]:
        return []


class Sqlite:
    """A query of an SQLite file."""

    name = "sqlite"
    faults = File.faults | {Fault.STALLED_SOURCE}

    def __init__(self, ground: Ground) -> None:
        self._path = ground.folder / "rows.db"
        sqlite3.connect(self._path).close()

    def given(self, fault: Fault) -> Given:
        at_the_row = {
            Fault.SOURCE_ERROR: "abs(-9223372036854775808)",
            Fault.STALLED_SOURCE: "(WITH RECURSIVE f(n) AS (SELECT i UNION ALL SELECT n + 1 FROM f) SELECT count(*) FROM f)",
        }.get(fault, "0")
        rows = f"WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < {ROWS})"
        query = f"{rows} SELECT i AS id, '{TEXT}' AS note, CASE WHEN i = {FAULTY_ROW} THEN {at_the_row} ELSE 0 END AS n FROM c"
        return Given(f"sqlite:///{self._path}", {"query": query})

    def left_behind(self) -> list[str]:
        return [path.name for path in self._path.parent.glob("rows.db-*")]


class SqliteTable:
    """A table of an SQLite file, which is read another way than a query. Nothing in it can take for ever."""

    name = "sqlite-table"
    faults = File.faults

    def __init__(self, ground: Ground) -> None:
        self._path = ground.folder / "table.db"

    def given(self, fault: Fault) -> Given:
        misfit = FAULTY_ROW if fault is Fault.SOURCE_ERROR else 0
        with closing(sqlite3.connect(self._path)) as connection, connection:
            connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, note TEXT, n INTEGER)")
            values = ((number, TEXT, "x" if number == misfit else 0) for number in range(1, ROWS + 1))
            connection.executemany("INSERT INTO rows VALUES (?, ?, ?)", values)
        return Given(f"sqlite:///{self._path}", {"table": "rows"})

    def left_behind(self) -> list[str]:
        return [path.name for path in self._path.parent.glob("table.db-*")]


class DuckDb:
    """A DuckDB file."""

    name = "duckdb"
    faults = Sqlite.faults

    def __init__(self, ground: Ground) -> None:
        duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
        self._path = ground.folder / "rows.duckdb"
        duckdb.connect(str(self._path)).close()

    def given(self, fault: Fault) -> Given:
        at_the_row = {
            Fault.SOURCE_ERROR: "error('row ' || i || ' is bad')",
            Fault.STALLED_SOURCE: "(SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range + b.range % 7 > i)",
        }.get(fault, "0")
        query = (
            f"SELECT i AS id, '{TEXT}' AS note, CASE WHEN i = {FAULTY_ROW} THEN {at_the_row} ELSE 0 END AS n "
            f"FROM range(1, {ROWS + 1}) t(i)"
        )
        return Given(f"duckdb:///{self._path}", {"query": query})

    def left_behind(self) -> list[str]:
        return [path.name for path in self._path.parent.glob("rows.duckdb?*")]


class _Server:
    """A database server."""

    faults = Sqlite.faults | {Fault.CUT_SOURCE}
    _fixture: str
    _query: str
    _at_the_row: Mapping[Fault, str]

    def __init__(self, ground: Ground) -> None:
        self._database = ground.request.getfixturevalue(self._fixture)
        self._ground = ground

    def given(self, fault: Fault) -> Given:
        uri = self._database.uri
        if fault is Fault.CUT_SOURCE:
            proxy = Proxy(self._database.port, down=Trouble("cut", CUT_AFTER_BYTES))
            uri = replace(self._database, port=self._ground.troubles.enter_context(proxy).port).uri
        return Given(uri, {"query": self._query.format(at_the_row=self._at_the_row.get(fault, "0"))})

    def left_behind(self) -> list[str]:
        return [str(session) for session in self._database.sessions()]


class Postgres(_Server):
    """PostgreSQL."""

    name = "postgres"
    _fixture = "postgres"
    _query = (
        f"SELECT i AS id, '{TEXT}' AS note, CASE WHEN i = {FAULTY_ROW} THEN {{at_the_row}} ELSE 0 END AS n "
        f"FROM generate_series(1, {ROWS}) i"
    )
    _at_the_row = MappingProxyType(
        {Fault.SOURCE_ERROR: f"1 / ({FAULTY_ROW} - i)", Fault.STALLED_SOURCE: "length(pg_sleep(600)::text)"}
    )


class Mysql(_Server):
    """MariaDB."""

    name = "mysql"
    _fixture = "mariadb"
    _query = f"SELECT seq AS id, '{TEXT}' AS note, IF(seq = {FAULTY_ROW}, {{at_the_row}}, 0) AS n FROM seq_1_to_{ROWS}"
    _at_the_row = MappingProxyType(
        {Fault.SOURCE_ERROR: "(SELECT 1 UNION SELECT 2)", Fault.STALLED_SOURCE: "SLEEP(600)"}
    )


class Mongo:
    """A double of MongoDB: FerretDB has no way to be told to fail."""

    name = "mongodb"
    faults = Postgres.faults

    def __init__(self, ground: Ground) -> None:
        self._double = ground.request.getfixturevalue("mongo_double")
        self._ground = ground

    def given(self, fault: Fault) -> Given:
        uri = self._double.new_database()
        self._double.fill(uri, "rows", {"note": TEXT}, ROWS)
        if fault is Fault.SOURCE_ERROR:
            self._double.fail("getMore", mode={"skip": 2}, errorCode=43)
        if fault is Fault.STALLED_SOURCE:
            self._double.fail("getMore", mode={"skip": 2}, blockConnection=True, blockTimeMS=600_000)
        if fault is Fault.CUT_SOURCE:
            port = urlsplit(uri).port
            assert port is not None
            proxy = self._ground.troubles.enter_context(Proxy(port, down=Trouble("cut", CUT_AFTER_BYTES)))
            uri = uri.replace(f":{port}", f":{proxy.port}")
        return Given(uri, {"table": "rows"})

    def left_behind(self) -> list[str]:
        return [f"{self._double.open_cursors()} cursors"] * bool(self._double.open_cursors()) + self._double.running()


class Http:
    """An HTTP server with NDJSON."""

    name = "http"
    faults = File.faults | {Fault.STALLED_SOURCE, Fault.CUT_SOURCE, Fault.BURST_SOURCE}

    def __init__(self, ground: Ground) -> None:
        self._server = ground.servers.enter_context(HttpServer())
        self._ground = ground

    def given(self, fault: Fault) -> Given:
        cut_after = CUT_AFTER_BYTES if fault is Fault.SOURCE_ERROR else None
        reply = Reply(200, _ndjson(), {"Content-Type": "application/x-ndjson"}, chunked=True, cut_after=cut_after)
        self._server.reply("/rows.ndjson", *([Reply(503)] * 2 if fault is Fault.BURST_SOURCE else []), reply)
        port = self._server.port
        if fault in {Fault.STALLED_SOURCE, Fault.CUT_SOURCE}:
            kind = "stall" if fault is Fault.STALLED_SOURCE else "cut"
            port = self._ground.troubles.enter_context(Proxy(port, down=Trouble(kind, CUT_AFTER_BYTES))).port
        return Given(f"http://127.0.0.1:{port}/rows.ndjson")

    def left_behind(self) -> list[str]:
        self._server.wait_until(lambda: self._server.open_connections == 0)
        return []


class S3:
    """An object in an S3 store."""

    name = "s3"
    faults = File.faults | {Fault.STALLED_SOURCE, Fault.CUT_SOURCE, Fault.BURST_SOURCE}

    def __init__(self, ground: Ground) -> None:
        self._server = ground.request.getfixturevalue("s3_server")
        self._bucket = self._server.create_bucket()  # its own, for a sink that is the same store
        self._ground = ground

    def given(self, fault: Fault) -> Given:
        data = gzip.compress(_ndjson(), 0)
        self._server.put(
            self._bucket, "rows.ndjson.gz", data[:CUT_AFTER_BYTES] if fault is Fault.SOURCE_ERROR else data
        )
        options = {}
        if fault is Fault.BURST_SOURCE:
            self._server.refuse("GetObject", times=2)
        if fault in {Fault.STALLED_SOURCE, Fault.CUT_SOURCE}:
            # Every connection is cut after so many bytes: trying again does not help for ever.
            kind = "stall" if fault is Fault.STALLED_SOURCE else "cut"
            proxy = self._ground.troubles.enter_context(Proxy(self._server.port, down=Trouble(kind, 1 << 20)))
            options = {"source_options": {"endpoint": f"http://127.0.0.1:{proxy.port}"}}
        return Given(f"s3://{self._bucket}/rows.ndjson.gz", options, self._server.environment)

    def left_behind(self) -> list[str]:
        self._server.heal()
        return []


SOURCES: tuple[type[SourceKit], ...] = (
    Iterable,
    File,
    Stdin,
    Sqlite,
    SqliteTable,
    DuckDb,
    Postgres,
    Mysql,
    Mongo,
    Http,
    S3,
)
