"""Both ends of the ways that :mod:`bench.tables.ways` measures: what a copy reads from, and what it writes to."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import penstock
from bench.tables.delivered import clear, delivered
from bench.tables.jobs import Job
from bench.tables.systems import TABLE, Place, connected, lineitem, object_store, settle, started
from tests.servers.http import Ending, HttpServer
from tests.servers.mongo_double import MongoDouble, run_mongo_double

__all__ = ["Destination", "Ground", "Source"]

KEPT_ROWS = 2_000_000
"""Of lineitem; larger tables are these over and over."""


@dataclass(frozen=True)
class Source:
    """What to read.

    Attributes:
        facts: what it is, for the page.
        arguments: of ``penstock cp``, the address first.
    """

    facts: str
    arguments: list[str]


@dataclass(frozen=True)
class Destination:
    """Where to.

    Attributes:
        facts: what it is, for the page.
        arguments: of ``penstock cp``, the address first.
        rows: returns how many have arrived.
        clear: forgets them.
        stdout: the file that standard output goes to; None for nowhere.
    """

    facts: str
    arguments: list[str]
    rows: Callable[[], int]
    clear: Callable[[], None]
    stdout: Path | None = None


@dataclass
class Ground:
    """Files and private servers, made when they are first wanted; servers end with ``stack``."""

    folder: Path
    stack: ExitStack
    keep: Path
    _places: dict[str, Place] = field(default_factory=dict)
    _made: set[str] = field(default_factory=set)
    environment: dict[str, str] = field(default_factory=dict)
    """Variables by which clients find the object store, once there is one."""

    # --- sources ------------------------------------------------------------------------------------------------

    def source(self, kind: str, rows: int) -> Source:
        """Return ``rows`` rows of lineitem, or of a document like it.

        Args:
            kind: ``"file.FORMAT"``, ``"s3.FORMAT"``, ``"http.FORMAT"``, ``"mongodb"``, or that of a database, which may have
                ``.query`` behind it.
            rows: how many.
        """
        where, _, name = kind.partition(".")
        if where == "file":
            return Source(f"{_FORMATS[name]} file", [str(self._file(name, rows))])
        if where == "s3":
            return Source(f"{_FORMATS[name]} object", [self._object(self._file(name, rows))])
        if where == "http":
            return Source(f"HTTP, {_FORMATS[name]}", [f"{self._web}/{self._file(name, rows).name}"])
        if where == "mongodb":
            return self._documents(rows)
        place, table = self._place(where), f"{TABLE}_{rows}"
        if self._is_new(f"{where} {table}"):
            penstock.copy(self._file("parquet", rows), place.uri, to_table=table)
            settle(place)
        if name == "query":
            return Source(f"query of {place.facts}", [place.uri, "--query", f"SELECT * FROM {table}"])
        return Source(place.facts, [place.uri, "--table", table])

    def _is_new(self, name: str) -> bool:
        """Return whether it is asked for the first time."""
        is_new = name not in self._made
        self._made.add(name)
        return is_new

    def _file(self, name: str, rows: int) -> Path:
        path = self.folder / f"{TABLE}-{rows}.{name}"
        if not path.exists():
            if name == "parquet":
                _repeat(lineitem(KEPT_ROWS, self.keep).path, path, rows)
            else:
                penstock.copy(self._file("parquet", rows), path)
        return path

    def _object(self, file: Path) -> str:
        if not self.environment:
            self.environment.update(self.stack.enter_context(object_store()).environment)
        address = f"s3://bench/{file.name}"
        if self._is_new(address):
            command = [sys.executable, "-m", "penstock", "cp", str(file), address, "--quiet"]
            subprocess.run(command, check=True, env={**os.environ, **self.environment})
        return address

    @cached_property
    def _web(self) -> str:
        """The address under which a server hands out the files of the folder."""
        where = ["0", "--bind", "127.0.0.1", "--directory", str(self.folder)]
        command = [sys.executable, "-u", "-m", "http.server", *where]
        process = self.stack.enter_context(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        )
        self.stack.callback(process.terminate)
        assert process.stdout is not None
        found = re.search(r"http://[\d.]+:\d+", process.stdout.readline())
        if found is None:
            raise RuntimeError("the web server did not say where it is")
        return found[0]

    def _documents(self, rows: int) -> Source:
        """Return a collection whose documents are made while they are read; no server that can be had here does that."""
        import pyarrow.parquet as pq

        double, place = self._double
        table = f"{TABLE}_{rows}"
        document = next(pq.ParquetFile(lineitem(KEPT_ROWS, self.keep).path).iter_batches(1)).to_pylist()[0]
        plain = {name: value if isinstance(value, (int, str)) else str(value) for name, value in document.items()}
        double.fill(place.uri, table, plain, rows)
        return Source(place.facts, [place.uri, "--table", table])

    @cached_property
    def _double(self) -> tuple[MongoDouble, Place]:
        double = self.stack.enter_context(run_mongo_double())
        return double, Place("mongodb", double.new_database(), "MongoDB's protocol (a double)")

    def _place(self, kind: str) -> Place:
        if kind not in self._places:
            self._places[kind] = started(kind, self.stack, self.folder)
        return self._places[kind]

    # --- destinations -------------------------------------------------------------------------------------------

    def destination(self, kind: str) -> Destination:
        """Return a place to write to.

        Args:
            kind: ``"file.FORMAT"``, ``"stdout.FORMAT"``, ``"http.FORMAT"``, or that of a database; ``.there`` behind that of
                a file means one that is there before, with another table in it.
        """
        where, _, name = kind.partition(".")
        if where in {"file", "stdout"}:
            return self._to_file(where, name)
        if where == "http":
            return self._to_http(name)
        return self._to_table(self._place(where), is_there=name == "there")

    def _to_file(self, where: str, name: str) -> Destination:
        target = self.folder / f"out.{name}"
        job = Job(Place("", "", ""), name, "file", str(target))
        count, forget = lambda: delivered(job), lambda: clear(job)
        if where == "file":
            return Destination(f"{_FORMATS[name]} file", [str(target)], count, forget)
        return Destination(f"standard output, {_FORMATS[name]}", ["-", "--format", name], count, forget, target)

    def _to_http(self, name: str) -> Destination:
        """Return an address whose server takes everything; complete is what the summary, and the server, say of the bytes."""
        server = self.stack.enter_context(HttpServer(keep_bytes=0))
        summary = self.folder / "summary.json"

        def rows() -> int:
            told = json.loads(summary.read_text("utf-8"))
            request = server.finished(1)[-1]
            whole = request.ending is Ending.COMPLETE and request.body_bytes == told["bytes"]
            return int(told["rows"]) if whole else 0

        arguments = [f"{server.url}/out.{name}", "--summary", str(summary)]
        return Destination(f"HTTP, {_FORMATS[name]}", arguments, rows, server.requests.clear)

    def _to_table(self, place: Place, *, is_there: bool) -> Destination:
        arguments = [place.uri, "--to-table", "loaded", "--if-exists", "overwrite"]
        facts = f"table of {place.facts}, in a file that is there" if is_there else f"table of {place.facts}"

        def clear() -> None:
            self._drop(place)
            if is_there:
                _make_file(place)

        if is_there:
            clear()
        return Destination(facts, arguments, lambda: _number(place, "SELECT count(*) FROM loaded"), clear)

    def _drop(self, place: Place) -> None:
        if place.kind in {"sqlite", "duckdb"}:  # what they drop, they keep room for
            for file in self.folder.glob(f"{TABLE}.{'db' if place.kind == 'sqlite' else 'duckdb'}*"):
                file.unlink()
            return
        with closing(connected(place)) as connection:
            connection.cursor().execute("DROP TABLE IF EXISTS loaded")
        settle(place)


_FORMATS = {"csv": "CSV", "ndjson": "NDJSON", "parquet": "Parquet"}


def _make_file(place: Place) -> None:
    with closing(connected(place)) as connection:
        connection.cursor().execute("CREATE TABLE other (a INTEGER)")


def _number(place: Place, statement: str) -> int:
    with closing(connected(place)) as connection:
        cursor = connection.cursor()
        cursor.execute(statement)
        return int(cursor.fetchall()[0][0])


def _repeat(path: Path, target: Path, rows: int) -> None:
    """Write a file of so many rows: those of another over and over."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file, pq.ParquetWriter(target, file.schema_arrow) as writer:
        while rows > 0:
            for batch in file.iter_batches(100_000):
                writer.write_batch(batch.slice(0, max(0, rows)))
                rows -= batch.num_rows
