"""The protocols of sources, sinks and formats: implement one to copy from or to a system of your own.

Nothing here does anything; every layer above knows the parts of a copy by these protocols only. A copy is a chain of
stages joined by bounded pipes, each stage in a thread of its own:

    Source --bytes or batches--> [Format.encode] --> [compress] --> Sink.store

Bytes pass untouched if the source can hand them out in the format wanted (``Source.byte_formats``). Otherwise the
source gives Arrow batches, and a format encodes them. The pipes carry errors: if a stage fails, the next read of every
stage after it raises the same exception. *An error is never an end of data.*

The two sides do not import each other; ``penstock.api`` connects them, through these functions::

    formats.infer("x.csv.gz")              -> ("csv", "gzip");  (None, None) if the name tells nothing
    formats.format_by_name("csv", {"delimiter": ";"}) -> Format   ConfigurationError with a did-you-mean
    formats.compress(stream, out, "zstd:9") -> int              bytes read; a stage between encode and store
    connectors.open_source(SourceRequest(uri, formats=penstock.formats, query=..., ...)) -> Source
    connectors.open_sink(SinkRequest(uri, format_name="csv", ...)) -> Sink, or TableSink if takes_tables(uri)
    connectors.redact(uri)                 -> str               for messages

``formats=`` is the module itself, with which a source of stored bytes (file, HTTP, S3, stdin) decodes them. Making a
Source or a Sink connects to nothing; ``check``, ``open_*``, ``store`` and ``load`` do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Protocol, runtime_checkable

from penstock.flow.description import Description
from penstock.flow.losses import Losses, OnTypeLoss

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "BatchStream",
    "ByteReader",
    "ByteWriter",
    "Closable",
    "Describable",
    "Format",
    "Formats",
    "Receipt",
    "Removable",
    "RemovableSink",
    "Sink",
    "Source",
    "StagingTableSink",
    "TableSink",
    "TypedTableSink",
    "UploadSink",
]

ByteReader = BinaryIO
"""A readable whose ``read(n)`` is short only at the end, whose ``b""`` is the end alone, and which raises on failure."""


class ByteWriter(Protocol):
    """The destination of encoded bytes: the write end of a pipe."""

    def write(self, data: bytes, /) -> int:
        """Take all of ``data``; block while there is no room."""
        ...


@runtime_checkable
class BatchStream(Protocol):
    """Arrow record batches of one schema, each of a bounded size. Iterating blocks, and raises if the source fails."""

    @property
    def schema(self) -> pa.Schema:
        """The schema every batch has."""
        ...

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield the batches. Can be done once."""
        ...


@runtime_checkable
class Source(Protocol):
    """Where data comes from. One object is read once.

    ``open_*`` connects, reads the first answer, and releases everything (connection, cursor, body, file) when the
    ``with`` block is left, however it is left. Failures are :class:`penstock.SourceError`, which say where and what to
    do. Iterating blocks; a cancel of the surrounding scope must interrupt it within 50 ms (``penstock.on_cancel``).

    Sources and sinks may have an attribute ``connections_opened``: how many connections they have made so far.

    ``penstock.testing.check_source`` checks that a source keeps all this.
    """

    @property
    def display_name(self) -> str:
        """The name of the source for messages: its address and table, without secrets."""
        ...

    @property
    def byte_formats(self) -> frozenset[str]:
        """The dialects (``Format.dialect``) that this source can hand out as bytes, such as ``{"csv"}``."""
        ...

    @property
    def rows_read(self) -> int | None:
        """How many rows were handed out; None if uncounted, as in a file passed on as bytes. Final after the block."""
        ...

    def open_bytes(self, format_name: str) -> AbstractContextManager[Iterator[bytes]]:
        """Open the source as uncompressed bytes in one of ``byte_formats``: an iterator of chunks, none of them empty."""
        ...

    def open_batches(self) -> AbstractContextManager[BatchStream]:
        """Open the source as Arrow batches of about ``batch_bytes`` bytes each."""
        ...


@runtime_checkable
class Describable(Protocol):
    """A source that can say what it would do, for ``penstock plan``."""

    def describe(self, format_name: str | None) -> Description:
        """Connect, look, and disconnect. Write nothing, and run nothing but what is needed to learn the columns.

        Args:
            format_name: the format in which its bytes would be handed out; None if it would give batches.

        Raises:
            SourceError: as ``open_*`` would.
        """
        ...


@runtime_checkable
class Closable(Protocol):
    """A source or sink that may hold something open before ``open_*``, or between ``check`` and ``store``.

    The engine that runs a copy closes both, however the copy ends, even if they were never opened.
    """

    def close(self) -> None:
        """Release what is held. Idempotent; does not block."""
        ...


@dataclass(frozen=True)
class Receipt:
    """What a sink published.

    Attributes:
        location: where it can be found now, without secrets; ``""`` if nowhere (standard output).
        bytes_stored: bytes the sink stored, after compression; for a table, bytes of Arrow data loaded.
        details: further facts worth showing, such as ``{"parts": 7, "etag": "..."}``.
    """

    location: str
    bytes_stored: int
    details: Mapping[str, object] = field(default_factory=dict)


@runtime_checkable
class Sink(Protocol):
    """Where bytes go. A sink publishes everything or nothing.

    ``store`` reads ``stream`` to its end and only then makes the destination appear, complete. If reading raises, or the
    sink itself fails, it removes every trace (temporary file, open upload, half-sent body) and raises: the exception of
    the stream unchanged, its own failures as :class:`penstock.SinkError`.

    ``penstock.testing.check_sink`` checks that a sink keeps all this.
    """

    @property
    def display_name(self) -> str:
        """The name of the destination for messages, without secrets."""
        ...

    def check(self) -> bool:
        """Check, before the source is opened, whether the destination may be written. False means skip the copy.

        Raises:
            AlreadyExists: it exists and ``if_exists`` is ``"fail"``.
            SinkError: it cannot be written at all (no such folder or bucket, connection refused).
        """
        ...

    def store(self, stream: ByteReader) -> Receipt:
        """Read ``stream`` to its end, then publish. Blocks; called in a thread of its own, under a ``CancelScope``."""
        ...


@runtime_checkable
class Removable(Protocol):
    """A sink whose work can be undone, which is required to write one of several files (``max_file_size``)."""

    def remove(self) -> None:
        """Remove what ``store`` has published. Does nothing if it is gone already.

        Raises:
            SinkError: it could not be removed.
        """
        ...


class RemovableSink(Sink, Removable, Protocol):
    """A sink whose work can be undone: what writes one part of a :class:`PartsSink`."""


@runtime_checkable
class UploadSink(Sink, Protocol):
    """A sink that uploads in parts and can say how many, for ``penstock plan``. Its methods connect to nothing."""

    def parts_for(self, total_bytes: int) -> int | None:
        """Return how many parts an upload of ``total_bytes`` would have; None if that is too large."""
        ...

    def largest_object_bytes(self) -> int:
        """Return the size in bytes of the largest object it can upload."""
        ...


@runtime_checkable
class TableSink(Protocol):
    """Where rows go: a table in a database. It loads everything or nothing.

    ``load`` reads ``batches`` to their end inside one transaction and only then commits. If reading raises, or the
    database fails, it rolls back and raises: the exception of the stream unchanged, its own failures as
    :class:`penstock.SinkError`. Afterwards the database holds what it held before, and no query is running.

    ``penstock.testing.check_table_sink`` checks that a sink keeps all this.
    """

    @property
    def display_name(self) -> str:
        """The name of the destination for messages, without secrets."""
        ...

    def check(self) -> bool:
        """Check, before the source is opened, whether the table may be written. False means skip the copy.

        Raises:
            AlreadyExists: it exists and ``if_exists`` is ``"fail"``.
            SinkError: it cannot be written at all (no such database, connection refused).
        """
        ...

    def load(self, batches: BatchStream) -> Receipt:
        """Read ``batches`` to their end, then commit. Blocks; called in a thread of its own, under a ``CancelScope``."""
        ...


@runtime_checkable
class TypedTableSink(TableSink, Protocol):
    """A table sink that can say how it would load, and what columns it would create, for ``penstock plan``."""

    @property
    def loading(self) -> str:
        """How rows would get into the table, such as ``"COPY ... FROM STDIN, in one transaction"``. Connects to nothing."""
        ...

    def column_types(self, schema: pa.Schema) -> tuple[str, ...]:
        """Return the database's name for the type each column of a new table would have. Connects to nothing.

        Raises:
            SinkError: the database cannot hold one of the columns. (Or ConfigurationError, as from ``load``.)
        """
        ...


@runtime_checkable
class StagingTableSink(TableSink, Protocol):
    """A table sink that takes every row before it moves them into the table."""

    @property
    def rows_moved(self) -> int:
        """How many are in the table. As long as this grows, the sink is not stalled, though it takes nothing."""
        ...


@runtime_checkable
class Format(Protocol):
    """A file format: turns Arrow batches into bytes and back."""

    @property
    def name(self) -> str:
        """The name used by ``--format`` and in file suffixes, such as ``"csv"``."""
        ...

    @property
    def dialect(self) -> str:
        """The name, with any options that change the bytes, ``"csv(delimiter=';')"``; bytes pass only to an equal one."""
        ...

    @property
    def needs_seeking(self) -> bool:
        """Whether ``decode`` needs a stream with ``seek`` and ``tell``, because reading starts at the end (Parquet)."""
        ...

    @property
    def compresses_itself(self) -> bool:
        """Whether the format compresses its content, so that gzip or zstd around it makes no sense (Parquet)."""
        ...

    @property
    def concatenates(self) -> bool:
        """Whether several files, each ending with a line end, can be joined into one valid file (NDJSON)."""
        ...

    @property
    def keeps_batches(self) -> bool:
        """Whether the bytes show how the rows were divided into batches, so that small ones must not be joined (Arrow)."""
        ...

    def projected(self, columns: Sequence[str]) -> Format:
        """Return a copy of this format that reads ``columns``; it may read others too, if omitting them saves nothing."""
        ...

    def sized(self, batch_bytes: int) -> Format:
        """Return a copy of this format that reads batches of about ``batch_bytes``, and holds few of them at once."""
        ...

    def with_losses(self, on_type_loss: OnTypeLoss, losses: Losses) -> Format:
        """Return a copy of this format that treats values which do not fit their column as ``on_type_loss`` says."""
        ...

    @property
    def media_type(self) -> str:
        """The content type for HTTP and object stores."""
        ...

    def encode(self, batches: BatchStream, out: ByteWriter) -> int:
        """Write every batch to ``out`` and return the number of rows. Does not close ``out``."""
        ...

    def decode(self, stream: ByteReader, schema: pa.Schema | None = None) -> AbstractContextManager[BatchStream]:
        """Read batches from encoded, uncompressed bytes. Does not close ``stream``.

        Args:
            stream: the bytes; with ``seek`` and ``tell`` where ``needs_seeking`` says so.
            schema: the columns, if they are known; None to infer them.

        Raises:
            SourceError: the bytes are not valid in this format; the message names the record.
        """
        ...


class Formats(Protocol):
    """What a source of stored bytes needs to decode them. The module ``penstock.formats`` implements it."""

    def infer(self, path: str) -> tuple[str | None, str | None]:
        """Return the format and the compression that the suffixes of ``path`` name; None for each that is unknown."""
        ...

    def format_by_name(self, name: str, options: Mapping[str, object] = {}, /) -> Format:
        """Return the format called ``name``, with options of that format.

        Raises:
            ConfigurationError: there is no such format, or it has no such option.
        """
        ...

    def decompressing(self, stream: ByteReader, name: str) -> AbstractContextManager[ByteReader]:
        """Open ``stream`` decompressed. Reading a stream that is cut off raises instead of ending."""
        ...
