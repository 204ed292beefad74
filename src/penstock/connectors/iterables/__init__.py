"""Sources from data in this process: rows from an iterable, bytes from a generator, Arrow tables, data frames.

    [{"id": 1}, {"id": 2}]                    dicts: their keys are the columns
    cursor, generator of tuples or lists      with ``columns=["id", "name"]``; named tuples know their names
    generator of bytes, open binary file      with ``source_format="csv"``, unless the file's name tells
    RecordBatch, Table, RecordBatchReader     pyarrow's, or an iterable of its tables and batches
    anything with ``__arrow_c_stream__``      polars, pandas, DuckDB, ...

The data is iterated over in the reading thread of the copy, and nowhere else. Such a loop cannot be interrupted from
outside: a cancel is noticed between two batches, and in penstock's own waits. An exception of the loop ends the copy and
is raised unchanged. A generator or a reader of batches is used up by one copy and closed at its end, however it ends.
Whatever you have opened and may still need (a file, a cursor, a data frame) is left open.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast, final

from penstock.connectors._batches import Batches
from penstock.connectors._selection import Selection
from penstock.connectors._stored import StoredSource
from penstock.connectors.iterables._arrow_streams import (
    batches_of_items,
    is_arrow,
    known_rows,
    known_schema,
    opened_arrow,
)
from penstock.connectors.iterables._python_rows import RowBatches
from penstock.errors import ConfigurationError, SourceError
from penstock.flow.description import ColumnType, Description

if TYPE_CHECKING:
    import pyarrow as pa

    from penstock.connectors._requests import SourceRequest
    from penstock.flow.contracts import BatchStream, ByteReader, Source

__all__ = ["ArrowStream", "Data", "EncodedSource", "IterableSource", "name_of", "rows_to_batches", "source_from"]

_CHUNK_BYTES = 256 << 10
_NOTHING = object()

Bytes = (bytes, bytearray, memoryview)


class ArrowStream(Protocol):
    """An object that hands out Arrow data through the PyCapsule interface."""

    def __arrow_c_stream__(self, requested_schema: object | None = None, /) -> object:
        """Return a capsule with an ``ArrowArrayStream``."""
        ...


Data = Iterable[Any] | ArrowStream
"""What :func:`source_from` accepts."""


def name_of(value: object) -> str:
    """Return the name of ``value`` for messages: ``"generator events"``, ``"list"``, ``"pandas DataFrame"``."""
    kind = type(value)
    package = kind.__module__.partition(".")[0]
    prefix = "" if package in {"builtins", "__main__", "_io"} else f"{package} "
    name = getattr(value, "__name__", None)
    return f"{prefix}{kind.__name__} {name}" if isinstance(name, str) else f"{prefix}{kind.__name__}"


def source_from(value: Any, request: SourceRequest) -> Source:
    """Make a source from an object in this process. Reads nothing yet.

    Args:
        value: the object; the module's docstring lists what it can be.
        request: the request, whose ``uri`` is the name for messages. ``columns``, ``limit``, ``batch_bytes`` and
            ``on_type_loss`` apply to rows and Arrow data; ``format``, ``format_options`` and ``compression`` to bytes.

    Raises:
        ConfigurationError: the object cannot be read, or not as ``request`` asks.
    """
    request.refuse("query", "table", "where", because="they are for databases")
    request.check_options()
    if is_arrow(value):
        request.refuse("format", "format_options", "compression", because="this is Arrow data, not bytes")
        return IterableSource(request, value)
    if isinstance(value, Bytes) or hasattr(value, "read") or request.format is not None:
        return EncodedSource(request, value)
    request.refuse("format_options", "compression", because="they are for bytes, of a source_format")
    if isinstance(value, Mapping):
        raise ConfigurationError(f"{request.shown}: a dict is one row; give a list of them, or pyarrow.table(...)")
    if isinstance(value, AsyncIterable) and not isinstance(value, Iterable):
        raise ConfigurationError(
            f"{request.shown}: an asynchronous iterable runs in its own event loop only; send its items into "
            "penstock.channel() there (.aio), and copy from the other end in a thread"
        )
    if not isinstance(value, Iterable):
        raise ConfigurationError(
            f"nothing can be read from an object of type {type(value).__name__}: give an address, a path, rows "
            "(dicts, or tuples with columns=), bytes with source_format=, or Arrow data"
        )
    return IterableSource(request, value)


def rows_to_batches(
    rows: Iterator[object], request: SourceRequest, *, where: str, names: Sequence[str] | None = None
) -> RowBatches:
    """Make Arrow batches of rows; the first one at once, which says what the columns are.

    Args:
        rows: iterated in the calling thread.
        request: its limits count.
        where: what messages call the rows.
        names: of the columns; None to find them in the first rows.
    """
    return RowBatches(
        rows,
        names=names,
        where=where,
        batch_bytes=request.batch_bytes,
        max_row_bytes=request.max_row_bytes,
        on_type_loss=request.on_type_loss,
        losses=request.losses,
    )


class _Held:
    """An iterable, and whether it is for us to close."""

    def __init__(self, value: Any, where: str) -> None:
        self._value = value
        self._where = where

    @contextmanager
    def iterated(self) -> Iterator[Iterator[Any]]:
        """Iterate; close the iterator on every way out, if it was made for this.

        Raises:
            SourceError: it is a generator that has run already: no row is left, which would look like success.
        """
        if inspect.isgenerator(self._value) and inspect.getgeneratorstate(self._value) == inspect.GEN_CLOSED:
            raise SourceError("the generator has run already", where=self._where, hint="make a new one for each run")
        iterator = iter(self._value)
        try:
            yield iterator
        finally:
            if iterator is not self._value and hasattr(iterator, "close"):
                iterator.close()
            self.close()

    def close(self) -> None:
        """Close what only one copy can use. Idempotent."""
        if isinstance(self._value, Generator):
            self._value.close()


@final
class IterableSource:
    """Rows and Arrow data. Use through :func:`source_from`."""

    byte_formats: frozenset[str] = frozenset()

    def __init__(self, request: SourceRequest, value: Any) -> None:
        self.display_name = request.shown
        self.rows_read: int | None = None
        self._request = request
        self._value = value
        self._held = _Held(value, request.shown)

    def open_bytes(self, format_name: str) -> AbstractContextManager[Iterator[bytes]]:
        """Refuse: there are no encoded bytes here, ``byte_formats`` is empty."""
        raise ConfigurationError(f"{self.display_name}: it holds rows, not {format_name}")

    @contextmanager
    def open_batches(self) -> Iterator[BatchStream]:
        """Take the first rows, which tell the columns, and give the stream. To be iterated in the same thread."""
        with self._opened() as (stream, selection):
            self.rows_read = 0
            chosen = selection.batches(iter(stream))
            yield Batches(self._schema(stream.schema, selection), self._counted(chosen))

    def _counted(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            self.rows_read = (self.rows_read or 0) + batch.num_rows
            yield batch
            del batch  # or it would be kept alive while the next one is read

    @contextmanager
    def _opened(self) -> Iterator[tuple[BatchStream, Selection]]:
        request = self._request
        chosen = Selection(request.columns, request.limit)
        if is_arrow(self._value):
            with opened_arrow(self._value, request.batch_bytes, self.display_name) as stream:
                yield stream, chosen
            return
        with self._held.iterated() as items:
            first = next(items, _NOTHING)
            if is_arrow(first):
                yield batches_of_items(first, items, request.batch_bytes, self.display_name), chosen
            else:
                rows = chain(() if first is _NOTHING else (first,), items)
                yield self._rows(first, rows), Selection(None, request.limit)

    def _rows(self, first: object, rows: Iterator[object]) -> RowBatches:
        if isinstance(first, (*Bytes, str)):
            raise ConfigurationError(
                f"{self.display_name}: it gives {type(first).__name__}; say what bytes mean: source_format='csv'"
            )
        return rows_to_batches(rows, self._request, where=self.display_name, names=self._request.columns)

    def describe(self, format_name: str | None) -> Description:
        """Say what can be said without using anything up: all of a table or list, little of a generator."""
        rows = known_rows(self._value)
        schema = known_schema(self._value) if is_arrow(self._value) else None
        if isinstance(self._value, Sequence):
            rows = len(self._value) if rows is None else rows
            with self._opened() as (stream, _):
                schema = stream.schema
        selection = Selection(self._request.columns if is_arrow(self._value) else None, self._request.limit)
        columns = [] if schema is None else list(self._schema(schema, selection))
        return Description(
            reading="Arrow data, in slices" if is_arrow(self._value) else "rows, iterated in this process",
            why="" if columns or schema is not None else "looking would take the data away",
            consistency="as it is when it is read",
            columns=tuple(ColumnType(field.name, "", str(field.type), data_type=field.type) for field in columns),
            estimated_rows=None if rows is None else selection.at_most(rows),
            estimated_bytes=getattr(self._value, "nbytes", None) if is_arrow(self._value) else None,
        )

    def _schema(self, schema: pa.Schema, selection: Selection) -> pa.Schema:
        try:
            return selection.schema(schema)
        except SourceError as exc:
            exc.where = exc.where or self.display_name
            raise

    def close(self) -> None:
        """Close a generator that nobody opened. Idempotent."""
        self._held.close()


@final
class EncodedSource:
    """Bytes in some format. Use through :func:`source_from`."""

    def __init__(self, request: SourceRequest, value: Any) -> None:
        self.display_name = request.shown
        self._value = value
        self._held = _Held(value, request.shown)
        name = getattr(value, "name", "")
        path = PurePath(name).name if isinstance(name, str) else ""
        can_look = isinstance(value, (*Bytes, list, tuple))
        stored = replace(request, options={})
        self._stored = StoredSource(stored, path, self._opened, can_look=lambda: can_look)

    @property
    def byte_formats(self) -> frozenset[str]:
        """The one dialect the bytes are in; none where columns or rows are to be left out."""
        return self._stored.byte_formats

    @property
    def rows_read(self) -> int | None:
        """Rows handed out; None where the bytes were passed on unparsed."""
        return self._stored.rows_read

    def open_bytes(self, format_name: str) -> AbstractContextManager[Iterator[bytes]]:
        """Give the bytes, decompressed."""
        return self._stored.open_bytes(format_name)

    def open_batches(self) -> AbstractContextManager[BatchStream]:
        """Give the bytes, decompressed and decoded."""
        return self._stored.open_batches()

    def describe(self, format_name: str | None) -> Description:
        """Say what can be said without using anything up."""
        return self._stored.describe(format_name)

    @contextmanager
    def _opened(self, _seekable: bool) -> Iterator[ByteReader]:
        if isinstance(self._value, Bytes):
            yield cast(BinaryIO, _ChunkReader(iter([self._value]), self.display_name))
        elif hasattr(self._value, "read"):
            read: Callable[[int], bytes] = getattr(self._value, "read1", self._value.read)
            yield cast(BinaryIO, _ChunkReader(iter(lambda: read(_CHUNK_BYTES), b""), self.display_name))
        else:
            with self._held.iterated() as chunks:
                yield cast(BinaryIO, _ChunkReader(chunks, self.display_name))

    def close(self) -> None:
        """Close a generator that nobody opened. Idempotent."""
        self._held.close()


@final
class _ChunkReader:
    """A :class:`~penstock.flow.contracts.ByteReader` of chunks of any size."""

    def __init__(self, chunks: Iterator[Any], where: str) -> None:
        self._chunks = chunks
        self._where = where
        self._number = 0
        self._rest = memoryview(b"")

    def read(self, size: int = -1, /) -> bytes:
        pieces: list[memoryview] = []
        missing = size
        while missing and (self._rest or self._next()):
            piece = self._rest if missing < 0 else self._rest[:missing]
            self._rest = self._rest[len(piece) :]
            pieces.append(piece)
            missing -= len(piece) if missing > 0 else 0
        return b"".join(pieces)

    def _next(self) -> bool:
        """Take the next chunk that is not empty; False at the end."""
        for chunk in self._chunks:
            self._number += 1
            if not isinstance(chunk, Bytes):
                raise SourceError(
                    f"chunk {self._number} is of type {type(chunk).__name__}, where bytes should be",
                    where=self._where,
                    hint="source_format is for bytes; open files in binary mode",
                )
            self._rest = memoryview(chunk).cast("B") if chunk else memoryview(b"")
            if self._rest:
                return True
        return False
