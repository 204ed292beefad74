"""Streams that fail or wait, and a way to run a stage and cancel it."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from time import monotonic, sleep
from typing import Any, BinaryIO, TypeVar, cast

import pyarrow as pa
from pyarrow import csv

from penstock import connectors, formats
from penstock.core.cancel import CancelScope
from penstock.core.pipe import pipe
from penstock.errors import Cancelled
from penstock.flow.contracts import Sink, Source
from tests.core.threads import PATIENCE, Running, start, wait_until

T = TypeVar("T")

SECRET = "hunter2-very-secret"


class Fails(Exception):
    """What a failing stream raises."""


class Stream:
    """A readable of chunks; one that is an exception is raised. ``read(n)`` gives at most one chunk's bytes."""

    def __init__(self, *chunks: bytes | BaseException) -> None:
        self._chunks = iter(chunks)
        self._rest = b""
        self.given = 0

    def read(self, size: int = -1, /) -> bytes:
        if not self._rest:
            chunk = next(self._chunks, b"")
            if isinstance(chunk, BaseException):
                raise chunk
            self._rest = chunk
        data, self._rest = (self._rest, b"") if size < 0 else (self._rest[:size], self._rest[size:])
        self.given += len(data)
        return data


class Filling(Stream):
    """Keeps the contract of a stream: ``read(n)`` gives n bytes until the end."""

    def read(self, size: int = -1, /) -> bytes:
        parts: list[bytes] = []
        while size and (part := super().read(size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


class EndlessStream:
    """Never ends; counts what was read. Without ``read1``: not every stream has it."""

    def __init__(self) -> None:
        self.given = 0

    def read(self, size: int = -1, /) -> bytes:
        self.given += size
        return b"x" * size


def reading(stream: object) -> BinaryIO:
    """The same object, as the type the contract names."""
    return cast(BinaryIO, stream)


def data_stream(data: bytes) -> BinaryIO:
    """A stream of these bytes."""
    return io.BytesIO(data)


@contextmanager
def silent_stream() -> Iterator[BinaryIO]:
    """A stream whose next read waits for ever, as a pipe whose writer has nothing yet."""
    reader, writer = pipe()
    try:
        yield cast(BinaryIO, reader)
    finally:
        writer.abort(Fails("the test is over"))
        reader.close()


def source_of(uri: str, **options: Any) -> Source:
    """The source at ``uri``."""
    return connectors.open_source(connectors.SourceRequest(uri=uri, formats=formats, **options))


def sink_of(uri: str, *, format_name: str = "csv", media_type: str = "text/csv", **options: Any) -> Sink:
    """The sink at ``uri``."""
    request = connectors.SinkRequest(
        uri=uri, formats=formats, format_name=format_name, media_type=media_type, **options
    )
    return connectors.open_sink(request)


def read_bytes(source: Source) -> bytes:
    """Everything a source hands out as bytes, in its own format."""
    (name,) = source.byte_formats
    with source.open_bytes(name) as chunks:
        return b"".join(chunks)


def read_table(source: Source) -> pa.Table:
    """Everything a source hands out as batches."""
    with source.open_batches() as batches:
        return pa.Table.from_batches(list(batches), batches.schema)


def read_rows(source: Source) -> list[dict[str, Any]]:
    """The same as dicts."""
    rows: list[dict[str, Any]] = read_table(source).to_pylist()
    return rows


class Cancellable:
    """A call in a thread of its own, under a scope of its own."""

    def __init__(self, call: Callable[[], T]) -> None:
        self.scope = CancelScope()
        self.running: Running[T] = start(self._run, call)

    def _run(self, call: Callable[[], T]) -> T | None:
        with self.scope:
            return call()
        return None

    def wait_still(self) -> None:
        """Return once its thread stands still, in whatever foreign call; hold even where that is mistaken."""
        wait_until(lambda: self.running.done or self._stands_still())
        assert not self.running.done

    def _stands_still(self) -> bool:
        places = set()
        for _ in range(5):
            frame = sys._current_frames().get(self.running.thread.ident or 0)
            places.add((id(frame), frame.f_lasti if frame else None))
            sleep(0.001)
        return len(places) == 1

    def cancel(self) -> float:
        """Cancel; return the seconds it took to end. Fails if the call ended in any other way than cancelled."""
        began = monotonic()
        self.scope.cancel("a test wants it to stop")
        self.running.result(PATIENCE)
        assert self.scope.cancelled_caught
        return self.running.finished_at - began


def cancelled_at_once(call: Callable[[], object]) -> None:
    """Run ``call`` in a scope that is cancelled already; it must end as cancelled."""
    scope = CancelScope()
    scope.cancel()
    ended = []
    with scope:
        try:
            call()
        except Cancelled:
            ended.append(True)
            raise
    assert ended == [True]


@cache
def _have_arrow_open_its_pipe() -> None:
    """Arrow opens a pipe for signals with the first CSV it reads, and keeps it: that is nobody's leak."""
    csv.read_csv(pa.BufferReader(b"a\n1\n"))


def open_descriptors() -> set[str]:
    """What every open descriptor of this process leads to."""
    _have_arrow_open_its_pipe()
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.add(f"{entry.name} -> {entry.readlink()}")
        except FileNotFoundError:
            continue  # the one that listed the folder
    return found
