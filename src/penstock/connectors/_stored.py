"""A source of bytes that are stored somewhere in some format: the common half of files, HTTP, S3 and stdin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, final

from penstock.connectors._batches import Batches
from penstock.connectors._located import located
from penstock.connectors._requests import SourceRequest
from penstock.errors import ConfigurationError
from penstock.flow.contracts import BatchStream, ByteReader

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["StoredSource"]

_CHUNK_BYTES = 256 << 10


@final
class StoredSource:
    """Reads stored bytes, and decodes them with the formats it was lent.

    Args:
        request: what was asked for; its format and compression, or what ``name`` tells, say what the bytes are.
        name: path or key whose suffixes may tell format and compression.
        opener: opens the stored bytes. What it gives raises ``SourceError`` itself when reading fails, and never
            ends early.

    Raises:
        ConfigurationError: the format is not told by anything, or options were given that only databases have.
    """

    def __init__(
        self, request: SourceRequest, name: str, opener: Callable[[], AbstractContextManager[ByteReader]]
    ) -> None:
        request.refuse("query", "table", "columns", "where", "limit", because="it is for databases")
        self.display_name = request.shown
        self.rows_read: int | None = None
        self._opener = opener
        self._formats = request.formats
        inferred_format, inferred_compression = request.formats.infer(name)
        name_of_format = self._known(request.format or inferred_format)
        self._format = request.formats.format_by_name(name_of_format, request.format_options)
        compression = request.compression or inferred_compression
        self._compression = None if compression == "none" else compression

    def _known(self, format_name: str | None) -> str:
        if format_name is None:
            raise ConfigurationError(f"{self.display_name}: its name does not tell the format; give --source-format")
        return format_name

    @property
    def byte_formats(self) -> frozenset[str]:
        """The one format the bytes are in."""
        return frozenset([self._format.name])

    @contextmanager
    def open_bytes(self, format_name: str) -> Iterator[Iterator[bytes]]:
        """Open the stored bytes, decompressed."""
        assert format_name in self.byte_formats
        with self._opened() as stream:
            yield self._chunks(stream)

    @contextmanager
    def open_batches(self) -> Iterator[BatchStream]:
        """Open the stored bytes, decompressed and decoded."""
        with self._opened() as stream, ExitStack() as stack:
            with located(self.display_name):
                batches = stack.enter_context(self._format.decode(stream))
            self.rows_read = 0
            yield Batches(batches.schema, self._counted(batches))

    @contextmanager
    def _opened(self) -> Iterator[ByteReader]:
        with self._opener() as stored:
            if self._compression is None:
                yield stored
            else:
                with self._formats.decompressing(stored, self._compression) as stream:
                    yield stream

    def _chunks(self, stream: ByteReader) -> Iterator[bytes]:
        with located(self.display_name):
            while chunk := stream.read(_CHUNK_BYTES):
                yield chunk

    def _counted(self, batches: BatchStream) -> Iterator[pa.RecordBatch]:
        with located(self.display_name):
            for batch in batches:
                self.rows_read = (self.rows_read or 0) + batch.num_rows
                yield batch
