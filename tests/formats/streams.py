"""Streams and batches in memory for tests of formats."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from penstock import formats


class Fails(Exception):
    """What a failing stream raises in these tests."""


class FailingStream(io.BytesIO):
    """Gives its bytes, and raises where its end would be."""

    def __init__(self, data: bytes, error: BaseException | None = None) -> None:
        super().__init__(data)
        self.error = error or Fails("the source died")

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if not data and size:
            raise self.error
        return data


class CountingStream:
    """Makes ``total`` bytes of ``pattern`` as they are read, and knows the largest read."""

    def __init__(self, pattern: bytes, total: int) -> None:
        self._pattern = pattern
        self._left = total
        self.read_bytes = 0

    def read(self, size: int = -1, /) -> bytes:
        size = min(self._left, size)
        self._left -= size
        self.read_bytes += size
        return (self._pattern * (size // len(self._pattern) + 1))[:size]


class Collected(bytearray):
    """A writer that keeps what it is given, and how often."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0

    def write(self, data: bytes, /) -> int:
        self.writes += 1
        self += data
        return len(data)


class Table:
    """Batches of one table."""

    def __init__(self, table: pa.Table, rows_per_batch: int | None = None) -> None:
        self.schema = table.schema
        self._batches = table.to_batches(max_chunksize=rows_per_batch)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return iter(self._batches)


def table_of(**columns: pa.Array[Any]) -> Table:
    """Batches with these columns."""
    return Table(pa.table(columns))


def encoded(name: str, table: Table) -> bytes:
    """What format ``name`` makes of ``table``."""
    out = Collected()
    formats.format_by_name(name).encode(table, out)
    return bytes(out)


def decoded(name: str, data: bytes, schema: pa.Schema | None = None) -> pa.Table:
    """What format ``name`` reads from ``data``."""
    with formats.format_by_name(name).decode(io.BytesIO(data), schema) as batches:
        return pa.Table.from_batches(list(batches), batches.schema)


def rows(table: pa.Table) -> Iterable[dict[str, Any]]:
    """The rows of a table, as dicts."""
    return table.to_pylist()  # type: ignore[no-any-return]
