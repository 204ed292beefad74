"""What a source, a sink and a format promise each other. Protocols only; nothing here does anything.

A copy is a chain of stages joined by bounded pipes, each stage in a thread of its own:

    Source --bytes or batches--> [Format.encode] --> [compress] --> Sink.store

Bytes pass untouched where the source can hand out what the sink wants (``Source.byte_formats``); otherwise the
source gives Arrow batches and a format encodes them. The pipes carry errors, so a stage that fails makes every
stage after it raise the same exception where it would have read on: *an error is never an end of data*.

The caller (``penstock.api``) introduces the two sides to each other; neither imports the other::

    formats.infer("x.csv.gz")              -> ("csv", "gzip");  (None, None) where the name tells nothing
    formats.format_by_name("csv", {"delimiter": ";"}) -> Format   ConfigurationError with a did-you-mean
    formats.compress(stream, out, "zstd:9") -> int              bytes read; a stage between encode and store
    connectors.open_source(SourceRequest(uri, formats=penstock.formats, query=..., ...)) -> Source
    connectors.open_sink(SinkRequest(uri, format_name="csv", ...)) -> Sink, or TableSink if takes_tables(uri)
    connectors.redact(uri)                 -> str               for messages

``formats=`` is the module itself: a source of stored bytes (file, HTTP, S3, stdin) decodes itself with it. Making a
Source or a Sink touches nothing; ``check``, ``open_*`` and ``store`` do.
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
    "PartInfo",
    "PartToStore",
    "PartsSink",
    "Receipt",
    "Removable",
    "RemovableSink",
    "Sink",
    "Source",
    "TableSink",
    "TypedTableSink",
    "UploadSink",
]

ByteReader = BinaryIO
"""A readable whose ``read(n)`` fills, whose ``b""`` is the end and nothing else, and which raises on failure."""


class ByteWriter(Protocol):
    """What a format writes encoded bytes into: a pipe's write end."""

    def write(self, data: bytes, /) -> int:
        """Take all of ``data``; block while there is no room."""
        ...


@runtime_checkable
class BatchStream(Protocol):
    """Arrow record batches of one schema, each of a bounded number of bytes. Iterating raises on failure."""

    @property
    def schema(self) -> pa.Schema:
        """The schema every batch has."""
        ...

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield the batches, once."""
        ...


@runtime_checkable
class Source(Protocol):
    """Where data comes from. One object reads once.

    ``open_*`` connects, reads the first answer, and releases everything (connection, cursor, body, file) when the
    ``with`` block is left, on every way out. Failures are :class:`penstock.SourceError` saying where and what to do.
    Iterating blocks; a cancel of the surrounding scope interrupts it within 50 ms (``penstock.on_cancel``).

    A source, as a sink, may have an attribute ``connections_opened``: how many connections it has made so far.
    """

    @property
    def display_name(self) -> str:
        """The source as messages show it: address and table, never a secret."""
        ...

    @property
    def byte_formats(self) -> frozenset[str]:
        """Dialects (``Format.dialect``) this source can hand out as bytes without parsing them: ``{"csv"}``."""
        ...

    @property
    def rows_read(self) -> int | None:
        """Rows handed out; None where they were not counted (bytes of a file passed through). Final after the block."""
        ...

    def open_bytes(self, format_name: str) -> AbstractContextManager[Iterator[bytes]]:
        """Open as bytes in one of ``byte_formats``, uncompressed, in chunks of any size above zero."""
        ...

    def open_batches(self) -> AbstractContextManager[BatchStream]:
        """Open as Arrow batches of about ``batch_bytes`` bytes each."""
        ...


@runtime_checkable
class Describable(Protocol):
    """A source that can say what it would do, for ``penstock plan``."""

    def describe(self, format_name: str | None) -> Description:
        """Connect, look, and disconnect; write nothing and run nothing but what tells the columns.

        Args:
            format_name: the format its bytes are to be handed out in; None when it is to give batches.

        Raises:
            SourceError: as ``open_*`` would.
        """
        ...


@runtime_checkable
class Closable(Protocol):
    """A source or sink that may hold something before it is opened, or between ``check`` and ``store``.

    Whoever runs a copy closes both ends of it on every way out, also where they were never opened.
    """

    def close(self) -> None:
        """Let go of what is held. Idempotent; does not block."""
        ...


@dataclass(frozen=True)
class Receipt:
    """What a sink published.

    Attributes:
        location: where it can be found now, without secrets; ``""`` when there is nothing to find (stdout).
        bytes_stored: bytes the sink stored (after compression); of a table, bytes of Arrow data it has taken.
        details: what else is worth showing: ``{"parts": 7, "etag": "..."}``.
    """

    location: str
    bytes_stored: int
    details: Mapping[str, object] = field(default_factory=dict)


@runtime_checkable
class Sink(Protocol):
    """Where bytes go. Publish or nothing.

    ``store`` reads ``stream`` to its end and only then makes the destination appear, complete. When reading raises,
    or the sink itself fails, it removes every trace (temporary file, open upload, half-sent body) and raises: the
    stream's own exception as it is, its own failures as :class:`penstock.SinkError`.
    """

    @property
    def display_name(self) -> str:
        """The destination as messages show it, never a secret."""
        ...

    def check(self) -> bool:
        """Look whether the destination may be written, before the source is opened; False means skip the copy.

        Raises:
            AlreadyExists: it is there and ``if_exists`` is ``"fail"``.
            SinkError: it can not be written at all (no such folder, no such bucket, refused connection).
        """
        ...

    def store(self, stream: ByteReader) -> Receipt:
        """Read ``stream`` to the end, then publish. Blocks; runs in a thread of its own under a CancelScope."""
        ...


@runtime_checkable
class Removable(Protocol):
    """A sink whose work can be undone. One that is has what it takes to be a part of several (``max_file_size``)."""

    def remove(self) -> None:
        """Remove what ``store`` has published; well if it is not there any more.

        Raises:
            SinkError: it is still there.
        """
        ...


class RemovableSink(Sink, Removable, Protocol):
    """Both: what the parts of a :class:`PartsSink` are written by."""


@runtime_checkable
class UploadSink(Sink, Protocol):
    """A sink that uploads what it is sent in parts, and can say how many, for ``penstock plan``. Neither touches anything."""

    def parts_for(self, total_bytes: int) -> int | None:
        """Return in how many parts ``total_bytes`` would be uploaded; None when it can not take as much."""
        ...

    def largest_object_bytes(self) -> int:
        """Return how many bytes it can take."""
        ...


class PartInfo(Protocol):
    """What is known of a part beside its bytes."""

    @property
    def schema(self) -> pa.Schema:
        """The columns."""
        ...

    @property
    def rows(self) -> int:
        """Rows in it; final once its bytes have ended."""
        ...


class PartToStore(Protocol):
    """One of the parts that a :class:`PartsSink` is given."""

    @property
    def part(self) -> PartInfo:
        """What is known of it."""
        ...

    @property
    def stream(self) -> ByteReader:
        """Its bytes."""
        ...


@runtime_checkable
class PartsSink(Protocol):
    """Where bytes go that are divided into several files. All of them, or none."""

    @property
    def display_name(self) -> str:
        """The destination as messages show it, never a secret."""
        ...

    @property
    def max_part_bytes(self) -> int:
        """What one part may have, as stored."""
        ...

    def check(self) -> bool:
        """Look whether the destination may be written; as of a :class:`Sink`."""
        ...

    def store_parts(self, parts: Iterator[PartToStore]) -> Receipt:
        """Store every part to its end, then publish them together. When anything fails, nothing stays."""
        ...


@runtime_checkable
class TableSink(Protocol):
    """Where rows go: a table in a database. Loaded or nothing.

    ``load`` reads ``batches`` to their end inside one transaction and only then commits. When reading raises, or the
    database fails, it rolls back and raises: the stream's own exception as it is, its own failures as
    :class:`penstock.SinkError`. Afterwards the database holds what it held before, and no query runs.
    """

    @property
    def display_name(self) -> str:
        """The destination as messages show it, never a secret."""
        ...

    def check(self) -> bool:
        """Look whether the table may be written, before the source is opened; False means skip the copy.

        Raises:
            AlreadyExists: it is there and ``if_exists`` is ``"fail"``.
            SinkError: it can not be written at all (no such database, refused connection).
        """
        ...

    def load(self, batches: BatchStream) -> Receipt:
        """Read ``batches`` to the end, then commit. Blocks; runs in a thread of its own under a CancelScope."""
        ...


@runtime_checkable
class TypedTableSink(TableSink, Protocol):
    """A table sink that can say what columns it would create, for ``penstock plan``."""

    def column_types(self, schema: pa.Schema) -> tuple[str, ...]:
        """Return the type, as the database calls it, that each column of a new table would have. Touches nothing.

        Raises:
            SinkError: the database can not hold one of them. (Or ConfigurationError, as ``load`` would.)
        """
        ...


@runtime_checkable
class Format(Protocol):
    """What the bytes mean: Arrow batches to bytes and back."""

    @property
    def name(self) -> str:
        """Name used by ``--format`` and in file suffixes: ``"csv"``."""
        ...

    @property
    def dialect(self) -> str:
        """The name alone, or with the options that change the bytes: ``"csv(delimiter=';')"``.

        Bytes of one dialect may stand in for those of the same dialect, and for no other.
        """
        ...

    @property
    def needs_seeking(self) -> bool:
        """Whether ``decode`` wants a stream with ``seek`` and ``tell``, because it begins at the end (Parquet)."""
        ...

    @property
    def compresses_itself(self) -> bool:
        """Whether gzip or zstd around it makes no sense, because its insides are compressed (Parquet)."""
        ...

    @property
    def concatenates(self) -> bool:
        """Whether files of it, one after another and each ending with a line end, are one file of it (NDJSON)."""
        ...

    def projected(self, columns: Sequence[str]) -> Format:
        """Return this format for reading ``columns``. It may read others, too, where leaving them out saves nothing."""
        ...

    def sized(self, batch_bytes: int) -> Format:
        """Return this format for batches of about ``batch_bytes``: read in that size, and few of them held at once."""
        ...

    def with_losses(self, on_type_loss: OnTypeLoss, losses: Losses) -> Format:
        """Return this format for reading that does what ``on_type_loss`` says with values that do not fit their column."""
        ...

    @property
    def media_type(self) -> str:
        """Content type for HTTP and object stores."""
        ...

    def encode(self, batches: BatchStream, out: ByteWriter) -> int:
        """Write every batch to ``out`` and return the number of rows. Does not close ``out``."""
        ...

    def decode(self, stream: ByteReader, schema: pa.Schema | None = None) -> AbstractContextManager[BatchStream]:
        """Read batches from encoded, uncompressed bytes. Does not close ``stream``.

        Args:
            stream: the bytes; with ``seek`` and ``tell`` where ``needs_seeking`` says so.
            schema: what the columns are known to be; None to find out.

        Raises:
            SourceError: the bytes are not what they should be; says at which record.
        """
        ...


class Formats(Protocol):
    """What a source of stored bytes needs to decode itself. The module ``penstock.formats`` is one."""

    def infer(self, path: str) -> tuple[str | None, str | None]:
        """Return the names of format and compression that the suffixes of ``path`` tell."""
        ...

    def format_by_name(self, name: str, options: Mapping[str, object] = {}, /) -> Format:
        """Return the format of that name, with options of its own.

        Raises:
            ConfigurationError: there is none, or it has no such option.
        """
        ...

    def decompressing(self, stream: ByteReader, name: str) -> AbstractContextManager[ByteReader]:
        """Return a reader of ``stream`` decompressed. A stream that stops short raises, it does not end."""
        ...
