"""Sinks that take everything, or fail, stall, fill up or lose their connection on the way: real servers, all of them."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import Any, Protocol

import pytest

from penstock.connectors.objects._s3_client import Patience
from tests.faults.faults import OF_EVERY_PAIR, ROWS, Fault, Given, Ground
from tests.faults.neighbours import Downstream
from tests.servers.http import Ending, HttpServer, Reply
from tests.servers.proxy import Proxy, Trouble

__all__ = ["SINKS", "SinkKit"]

CUT_AFTER_BYTES = 3 << 20
LARGEST_ID_ALLOWED = 20_000


class SinkKit(Protocol):
    """One kind of sink."""

    name: str
    faults: frozenset[Fault]

    def __init__(self, ground: Ground) -> None:
        """Start what is needed."""

    def given(self, fault: Fault) -> Given:
        """Return what to copy to, so that ``fault`` happens."""

    def published(self) -> int | None:
        """Return how many rows can be found at the destination; None when there is no destination."""

    def left_behind(self) -> list[str]:
        """Return what else the copy has left there: temporary files, open uploads, running queries."""


def _lines(data: bytes) -> int:
    """Count NDJSON records, and see that each is whole."""
    assert not data or data.endswith(b"\n")
    return sum(1 for line in data.splitlines() if json.loads(line))


class File:
    """A file."""

    name = "file"
    faults = OF_EVERY_PAIR | {Fault.DISK_FULL}

    def __init__(self, ground: Ground) -> None:
        self._folder = ground.folder / "out"
        self._folder.mkdir()
        self._path = self._folder / "rows.ndjson"

    def given(self, fault: Fault) -> Given:
        return Given(str(self._path))

    def published(self) -> int | None:
        return _lines(self._path.read_bytes()) if self._path.exists() else None

    def left_behind(self) -> list[str]:
        return [path.name for path in self._folder.iterdir() if path != self._path]


class Stdout:
    """Standard output: a pipe to another program, or a file. It can not be taken back, so what came must be a beginning."""

    name = "stdout"
    faults = OF_EVERY_PAIR | {Fault.SINK_ERROR, Fault.STALLED_SINK, Fault.DISK_FULL, Fault.READER_GONE}

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._path = ground.folder / "redirected"

    def given(self, fault: Fault) -> Given:
        self._downstream = None
        if fault is Fault.SINK_ERROR:
            stream = os.open("/dev/full", os.O_WRONLY)
        elif fault is Fault.DISK_FULL:
            stream = os.open(self._path, os.O_WRONLY | os.O_CREAT)
        else:
            reads = None if fault not in {Fault.STALLED_SINK, Fault.READER_GONE} else CUT_AFTER_BYTES
            self._downstream = Downstream(reads, holds=fault is Fault.STALLED_SINK)
            stream = self._ground.troubles.enter_context(self._downstream).write_end
        return Given("-", {"format": "ndjson"}, stream=stream)

    def published(self) -> int | None:
        """All rows, or None: what there is of them must be the first ones, each whole but the last."""
        lines = self._received().split(b"\n")
        cut = lines.pop()
        rows = [json.loads(line) for line in lines]
        numbers = [row["id"] if "id" in row else row["_id"] + 1 for row in rows]  # MongoDB's begin at 0
        assert numbers == list(range(1, len(lines) + 1))
        return len(lines) if len(lines) == ROWS and not cut else None

    def _received(self) -> bytes:
        if self._downstream is not None:
            return self._downstream.received()
        return self._path.read_bytes() if self._path.exists() else b""

    def left_behind(self) -> list[str]:
        return []


class Http:
    """An HTTP server that takes one chunked POST."""

    name = "http"
    faults = OF_EVERY_PAIR | {Fault.SINK_ERROR, Fault.STALLED_SINK, Fault.CUT_SINK, Fault.BURST_SINK}

    def __init__(self, ground: Ground) -> None:
        self._server = ground.servers.enter_context(HttpServer())
        self._ground = ground

    def given(self, fault: Fault) -> Given:
        replies = {
            Fault.SINK_ERROR: [Reply(413, after_bytes=CUT_AFTER_BYTES)],
            Fault.BURST_SINK: [Reply(503), Reply(503), Reply()],
        }
        self._replies = replies.get(fault, [Reply()])
        self._server.reply("/ingest", *self._replies)
        port = self._server.port
        if fault in {Fault.STALLED_SINK, Fault.CUT_SINK}:
            kind = "stall" if fault is Fault.STALLED_SINK else "cut"
            port = self._ground.troubles.enter_context(Proxy(port, up=Trouble(kind, CUT_AFTER_BYTES))).port
        return Given(f"http://127.0.0.1:{port}/ingest", {"format": "ndjson"})

    def published(self) -> int | None:
        self._server.wait_until(lambda: self._server.open_connections == 0)
        for number, request in enumerate(self._server.requests):
            reply = self._replies[min(number, len(self._replies) - 1)]
            if request.ending is Ending.COMPLETE and request.answered and reply.status == 200:
                return _lines(request.body)
        return None

    def left_behind(self) -> list[str]:
        return []


class S3:
    """A multipart upload to an S3 store."""

    name = "s3"
    faults = Http.faults

    def __init__(self, ground: Ground) -> None:
        self._server = ground.request.getfixturevalue("s3_server")
        self._bucket = ground.request.getfixturevalue("bucket")
        self._variables = ground.request.getfixturevalue("monkeypatch")
        self._ground = ground

    def given(self, fault: Fault) -> Given:
        options: dict[str, Any] = {"part_size": "5MiB", "concurrency": 1}
        if fault is Fault.SINK_ERROR:
            self._server.refuse("UploadPart", times=1, status=403, code="AccessDenied")
        if fault is Fault.BURST_SINK:
            self._server.refuse("UploadPart", times=2)
        if fault is Fault.STALLED_SINK:
            self._server.hold("UploadPart", times=100)
        if fault is Fault.CUT_SINK:
            proxy = self._ground.troubles.enter_context(Proxy(self._server.port, up=Trouble("cut", CUT_AFTER_BYTES)))
            options["destination_options"] = {"endpoint": f"http://127.0.0.1:{proxy.port}"}
            # Every connection is cut, so trying again is in vain; two minutes of that would prove no more.
            self._variables.setattr("penstock.connectors.objects._s3_writing._PATIENT", Patience(tries=2))
        return Given(f"s3://{self._bucket}/rows.ndjson", options, self._server.environment)

    def published(self) -> int | None:
        if "rows.ndjson" not in self._server.objects(self._bucket):
            return None
        return _lines(self._server.read(self._bucket, "rows.ndjson"))

    def left_behind(self) -> list[str]:
        self._server.heal()
        others = [key for key in self._server.objects(self._bucket) if key != "rows.ndjson"]
        return others + [f"upload of {key}" for key in self._server.uploads(self._bucket)]


class Sqlite:
    """A table in an SQLite file."""

    name = "sqlite"
    faults = OF_EVERY_PAIR | {Fault.SINK_ERROR, Fault.DISK_FULL}

    def __init__(self, ground: Ground) -> None:
        self._folder = ground.folder / "db"
        self._folder.mkdir()
        self._path = self._folder / "out.db"

    def given(self, fault: Fault) -> Given:
        if fault is not Fault.SINK_ERROR:
            return Given(f"sqlite:///{self._path}", {"to_table": "copied"})
        with closing(sqlite3.connect(self._path)) as connection:
            connection.execute(
                f"CREATE TABLE copied (id INTEGER CHECK (id < {LARGEST_ID_ALLOWED}), note TEXT, n INTEGER)"
            )
        return Given(f"sqlite:///{self._path}", {"to_table": "copied", "if_exists": "append"})

    def published(self) -> int | None:
        if not self._path.exists():
            return None
        with closing(sqlite3.connect(self._path)) as connection:
            found = connection.execute("SELECT name FROM sqlite_master WHERE name = 'copied'").fetchall()
            return connection.execute("SELECT count(*) FROM copied").fetchone()[0] if found else None

    def left_behind(self) -> list[str]:
        return [path.name for path in self._folder.iterdir() if path != self._path]


class DuckDb:
    """A table in a DuckDB file."""

    name = "duckdb"
    faults = Sqlite.faults

    def __init__(self, ground: Ground) -> None:
        self._duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
        self._folder = ground.folder / "duck"
        self._folder.mkdir()
        self._path = self._folder / "out.duckdb"

    def given(self, fault: Fault) -> Given:
        if fault is not Fault.SINK_ERROR:
            return Given(f"duckdb:///{self._path}", {"to_table": "copied"})
        with self._duckdb.connect(str(self._path)) as connection:
            connection.execute(
                f"CREATE TABLE copied (id BIGINT CHECK (id < {LARGEST_ID_ALLOWED}), note TEXT, n BIGINT)"
            )
        return Given(f"duckdb:///{self._path}", {"to_table": "copied", "if_exists": "append"})

    def published(self) -> int | None:
        if not self._path.exists():
            return None
        with self._duckdb.connect(str(self._path), read_only=True) as connection:
            found = connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'copied'").fetchall()
            return connection.execute("SELECT count(*) FROM copied").fetchone()[0] if found else None

    def left_behind(self) -> list[str]:
        return [path.name for path in self._folder.iterdir() if path != self._path]


class _Server:
    """A table at a database server."""

    faults = OF_EVERY_PAIR | {Fault.SINK_ERROR, Fault.STALLED_SINK, Fault.CUT_SINK}

    def __init__(self, ground: Ground) -> None:
        self._database: Any = ground.request.getfixturevalue(self._fixture)
        self._ground = ground

    _fixture: str

    def given(self, fault: Fault) -> Given:
        options: dict[str, Any] = {"to_table": "copied"}
        if fault is Fault.SINK_ERROR:
            self._database.execute(
                f"CREATE TABLE copied (id bigint CHECK (id < {LARGEST_ID_ALLOWED}), note text, n bigint)"
            )
            options["if_exists"] = "append"
        uri = self._database.uri
        if fault in {Fault.CUT_SINK, Fault.STALLED_SINK}:
            kind = "stall" if fault is Fault.STALLED_SINK else "cut"
            proxy = self._ground.troubles.enter_context(Proxy(self._database.port, up=Trouble(kind, CUT_AFTER_BYTES)))
            uri = replace(self._database, port=proxy.port).uri
        return Given(uri, options)

    def published(self) -> int | None:
        if "copied" not in self._tables():
            return None
        [[count]] = self._database.execute("SELECT count(*) FROM copied")
        return int(count)

    def _tables(self) -> list[str]:
        raise NotImplementedError

    def left_behind(self) -> list[str]:
        others = [table for table in self._tables() if table != "copied"]
        return others + [str(session) for session in self._database.sessions()]


class Postgres(_Server):
    """A table at PostgreSQL."""

    name = "postgres"
    _fixture = "postgres"

    def _tables(self) -> list[str]:
        return [n for (n,) in self._database.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]


class Mysql(_Server):
    """A table at MariaDB."""

    name = "mysql"
    _fixture = "mariadb"

    def _tables(self) -> list[str]:
        return list(self._database.tables())


SINKS: tuple[type[SinkKit], ...] = (File, Stdout, Http, S3, Sqlite, DuckDb, Postgres, Mysql)
