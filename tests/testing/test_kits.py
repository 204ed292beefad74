"""The kits pass what keeps its promises, our own connectors among it, and name each promise that is broken."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import penstock
from penstock.flow.contracts import BatchStream, ByteReader, Receipt, Sink, TableSink
from penstock.leaks import ignore
from penstock.testing import (
    BatchesSource,
    BytesSource,
    MemorySink,
    MemoryTable,
    check_sink,
    check_source,
    check_table_sink,
    stall,
)
from tests.connectors.parts import read_bytes, sink_of, source_of
from tests.servers.http import HttpServer, Reply
from tests.servers.proxy import Proxy, Trouble
from tests.servers.s3 import S3Server

BATCHES = [
    pa.RecordBatch.from_pylist([{"id": 2 * n, "name": "x" * 10}, {"id": 2 * n + 1, "name": None}]) for n in range(50)
]
PATIENT = 2.0  # where the machine may be busy; how soon our own connectors wake has tests of its own
SMALL = 1 << 20


# --- what keeps its promises ---


def test_the_sinks_in_memory_pass() -> None:
    """They are what the engine's own tests are made with."""

    def destination() -> tuple[Sink, Callable[[], bytes | None]]:
        sink = MemorySink()
        return sink, lambda: sink.published

    def stalled() -> tuple[Sink, Callable[[], bytes | None]]:
        sink = MemorySink(on_read=stall)
        return sink, lambda: sink.published

    check_sink(destination, stalled=stalled, large_bytes=SMALL, within_seconds=PATIENT)

    def table() -> tuple[TableSink, Callable[[], list[dict[str, Any]]]]:
        made = MemoryTable()
        return made, lambda: made.rows

    check_table_sink(table, BATCHES, within_seconds=PATIENT)


def test_files_pass(tmp_path: Path) -> None:
    """Written beside their name and renamed; also removed again."""
    numbers = iter(range(1000))

    def destination() -> tuple[Sink, Callable[[], bytes | None]]:
        path = tmp_path / str(next(numbers)) / "out.csv"
        path.parent.mkdir()

        def read() -> bytes | None:
            assert [each for each in path.parent.iterdir() if each != path] == []
            return path.read_bytes() if path.exists() else None

        return sink_of(str(path)), read

    check_sink(destination, within_seconds=PATIENT)


def test_uploads_pass(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """In parts; and no upload stays open."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)

    def destination() -> tuple[Sink, Callable[[], bytes | None]]:
        bucket = s3_server.create_bucket()

        def read() -> bytes | None:
            assert s3_server.uploads(bucket) == []
            return s3_server.read(bucket, "x.csv") if s3_server.objects(bucket) else None

        return sink_of(f"s3://{bucket}/x.csv", part_size=5 << 20, concurrency=2), read

    check_sink(destination, within_seconds=PATIENT)


def test_tables_pass(tmp_path: Path) -> None:
    """Loaded in one transaction."""
    numbers = iter(range(1000))

    def destination() -> tuple[TableSink, Callable[[], list[dict[str, Any]] | None]]:
        path = tmp_path / f"{next(numbers)}.db"

        def read() -> list[dict[str, Any]] | None:
            if not path.exists():
                return None
            with closing(sqlite3.connect(path)) as connection:
                return [{"id": i, "name": name} for i, name in connection.execute("SELECT id, name FROM t ORDER BY id")]

        sink = sink_of(f"sqlite:///{path}", table="t", format_name="", media_type="")
        assert isinstance(sink, TableSink)
        return sink, read

    check_table_sink(destination, BATCHES, within_seconds=PATIENT)


def test_sources_pass(tmp_path: Path, http_server: HttpServer) -> None:
    """In memory, from files, and from a server that breaks and falls silent."""
    rows = b"n\n" + b"1\n" * 100_000
    http_server.reply("/x.csv", Reply(200, rows, {"Content-Type": "text/csv"}))
    http_server.reply("/cut.csv", Reply(200, rows, {"Content-Type": "text/csv"}, chunked=True, cut_after=100_000))
    silent = Proxy(http_server.port, down=Trouble("stall", 100_000))
    assert read_bytes(source_of(f"{http_server.url}/x.csv")) == rows  # the server has begun all that it keeps
    check_source(
        lambda: BatchesSource(BATCHES[0].schema, BATCHES),
        failing=lambda: BatchesSource(BATCHES[0].schema, [BATCHES[0], penstock.SourceError("it broke")]),
        stalled=lambda: BatchesSource(BATCHES[0].schema, [BATCHES[0], stall]),
        within_seconds=PATIENT,
    )
    (tmp_path / "x.csv").write_text("n\n" + "1\n" * 100_000)
    check_source(lambda: source_of(str(tmp_path / "x.csv")), within_seconds=PATIENT)
    check_source(
        lambda: source_of(f"{http_server.url}/x.csv"),
        failing=lambda: source_of(f"{http_server.url}/cut.csv"),
        within_seconds=PATIENT,
    )
    with silent:
        check_source(
            lambda: source_of(f"{http_server.url}/x.csv"),
            stalled=lambda: source_of(f"http://127.0.0.1:{silent.port}/x.csv"),
            within_seconds=PATIENT,
            ignore=[ignore(kind="fd", name="epoll", reason="the proxy's, made in its own time")],
        )


# --- what breaks them ---


class Careless(MemorySink):
    """A sink with one bug, by name."""

    def __init__(self, bug: str) -> None:
        super().__init__()
        self.bug = bug

    def check(self) -> bool:
        if self.bug == "checks by touching":
            self.published = b""
        return self.bug != "says no"

    def store(self, stream: ByteReader) -> Receipt:
        if self.bug == "ignores a cancel":
            with penstock.CancelScope(shield=True, timeout=0.5):
                return super().store(stream)
        try:
            receipt = super().store(stream)
        except Exception as error:
            return self._after(error)
        except penstock.Cancelled:
            if self._after_a_cancel():
                return Receipt("", 0)
            raise
        if self.bug == "loses bytes":
            self.published = self.published and self.published[:-1]
        if self.bug == "leaves a thread":
            threading.Thread(target=threading.Event().wait, args=(1.5,), name="straggler").start()
        return receipt if self.bug != "gives no receipt" else None  # type: ignore[return-value]

    def _after(self, error: Exception) -> Receipt:
        if self.bug == "publishes what there is":
            self.published = bytes(self.received)
        if self.bug == "takes an error for the end":
            return Receipt("", 0)
        if self.bug == "wraps the error":
            raise penstock.SinkError("it failed") from error
        raise error

    def _after_a_cancel(self) -> bool:
        if self.bug == "wakes late":
            time.sleep(0.4)
        if self.bug == "publishes when cancelled":
            self.published = bytes(self.received)
        return self.bug == "swallows a cancel"


@pytest.mark.parametrize(
    ("bug", "complaint"),
    [
        ("says no", "check.. of a place where nothing is does not return True"),
        ("checks by touching", "check.. made something appear"),
        ("gives no receipt", "which is no Receipt"),
        ("loses bytes", "not what can be read there"),
        ("publishes what there is", "the stream failed after 0 bytes, and something was published"),
        ("takes an error for the end", "taken for its end"),
        ("wraps the error", "a SinkError of its own came instead of that very object"),
        ("swallows a cancel", "Cancelled has to pass"),
        ("ignores a cancel", "Cancelled has to pass|was answered after"),
        ("wakes late", "was answered after [45]..? ms; 250 ms are allowed"),
        ("publishes when cancelled", "it was cancelled, and something was published"),
        ("leaves a thread", "straggler"),
    ],
)
def test_a_careless_sink_is_told_what_it_breaks(bug: str, complaint: str) -> None:
    """Each promise that is broken fails the kit, with a message that names it."""

    def destination() -> tuple[Sink, Callable[[], bytes | None]]:
        sink = Careless(bug)
        return sink, lambda: sink.published

    with pytest.raises(AssertionError, match=complaint):
        check_sink(destination, large_bytes=SMALL)
    for thread in threading.enumerate():
        if thread.name == "straggler":
            thread.join()


class CarelessTable(MemoryTable):
    """A table that keeps what has come when its stream fails."""

    def load(self, batches: BatchStream) -> Receipt:
        for batch in batches:
            self.rows += batch.to_pylist()
        return Receipt("", 0)


def test_a_careless_table_is_told() -> None:
    """Rows that stay after a failure are found."""

    def destination() -> tuple[TableSink, Callable[[], list[dict[str, Any]]]]:
        table = CarelessTable()
        return table, lambda: table.rows

    with pytest.raises(AssertionError, match="after 50 batches the stream failed, and there are rows"):
        check_table_sink(destination, BATCHES)


class CarelessSource(BytesSource):
    """Its stream just stops when it fails."""

    @contextmanager
    def open_bytes(self, format_name: str) -> Iterator[Iterator[bytes]]:
        def until_it_fails(chunks: Iterator[bytes]) -> Iterator[bytes]:
            try:
                yield from chunks
            except penstock.SourceError:
                return

        with super().open_bytes(format_name) as chunks:
            yield until_it_fails(chunks)


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        (lambda: BytesSource([b"x", b""]), "chunks are bytes, and never empty"),
        (lambda: BytesSource([]), "nothing came"),
        (lambda: CarelessSource([b"x", penstock.SourceError("it broke")]), "looked like the end of its data"),
        (lambda: BytesSource([b"x", OSError("it broke")]), "a failure is to be a SourceError, not OSError"),
    ],
    ids=["an empty chunk", "no data", "an end", "a foreign error"],
)
def test_a_careless_source_is_told(source: Callable[[], BytesSource], complaint: str) -> None:
    """Each promise that is broken fails the kit, with a message that names it."""
    made = source()
    good = made if complaint.startswith(("chunks", "nothing")) else BytesSource([b"x"])
    with pytest.raises(AssertionError, match=complaint):
        check_source(lambda: good, failing=source)
