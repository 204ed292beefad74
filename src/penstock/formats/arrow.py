"""Arrow's own formats (IPC), ``arrow`` and ``arrows``: the data as it is in memory, with every type kept exactly.

The *stream* (``arrows``) begins with the schema and ends with an end mark. The *file* (``arrow``, also known as Feather 2)
is a stream between two magic numbers, followed by a table of contents, so that it can be read in any order. Here both are
written and read from beginning to end, and when reading either is recognised, whichever was asked for.

The standard makes the end mark optional, so Arrow takes a stream that was cut off between two batches for a shorter one.
Here it is required.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from penstock.errors import ConfigurationError
from penstock.formats._arrow import pyarrow
from penstock.formats._arrow_decoder import ArrowDecoder
from penstock.formats._base import BaseFormat
from penstock.formats._blocks import MAX_RECORD_BYTES
from penstock.formats._lent import finishing

if TYPE_CHECKING:
    import pyarrow as pa

    from penstock.flow.contracts import BatchStream, ByteReader, ByteWriter

__all__ = ["ArrowFile", "ArrowStream"]

_BATCH_BYTES = 4 << 20


@dataclass(frozen=True)
class _Ipc(BaseFormat):
    """The base class of both formats.

    Args:
        name: its name for ``--format``.
        media_type: the content type for HTTP and object stores.
        codec: the compression of the buffers when writing.
        batch_bytes: when reading, hand out batches of at most so many bytes.
        max_batch_bytes: the largest batch allowed when reading. (The writer of the data has chosen their size.)
    """

    name: str
    media_type: str
    codec: Literal["none", "lz4", "zstd"] = "none"
    batch_bytes: int = _BATCH_BYTES
    max_batch_bytes: int = MAX_RECORD_BYTES

    keeps_batches: ClassVar[bool] = True
    shaping: ClassVar[frozenset[str]] = frozenset({"codec"})

    def sized(self, batch_bytes: int) -> _Ipc:
        """Return a copy for batches of at most ``batch_bytes``."""
        return replace(self, batch_bytes=batch_bytes)

    def encode(self, batches: BatchStream, out: ByteWriter) -> int:
        """Write every batch; return the number of rows. Does not close ``out``.

        If anything fails, what was written so far has no end mark.

        Raises:
            ConfigurationError: a column cannot be written.
        """
        rows = 0
        with finishing(out, lambda file: self._writer(file, batches.schema)) as writer:
            for batch in batches:
                writer.write_batch(batch)
                rows += batch.num_rows
                del batch  # or it would be kept alive while the next one is read
        return rows

    @contextmanager
    def decode(self, stream: ByteReader, schema: pa.Schema | None = None) -> Iterator[BatchStream]:
        """Read batches; the schema is read at once, the rest while iterating. Does not close ``stream``.

        Args:
            stream: the bytes, of a file or a stream.
            schema: the columns the data must have; None for any.

        Raises:
            SourceError: the data is neither, is damaged, or stops before its end.
            BudgetExceeded: a batch is larger than ``max_batch_bytes``.
        """
        with ArrowDecoder(
            stream, schema, batch_bytes=self.batch_bytes, max_batch_bytes=self.max_batch_bytes
        ) as decoder:
            yield decoder

    def _writer(self, file: Any, schema: pa.Schema) -> Any:
        arrow = pyarrow()
        # One thread: compressing on Arrow's pool would use cores that nobody has given to this copy.
        options = arrow.ipc.IpcWriteOptions(compression=None if self.codec == "none" else self.codec, use_threads=False)
        return self._maker()(file, schema, options=options)

    def _maker(self) -> Callable[..., Any]:
        raise NotImplementedError


@dataclass(frozen=True)
class ArrowFile(_Ipc):
    """The file format, ``.arrow``."""

    name: str = "arrow"
    media_type: str = "application/vnd.apache.arrow.file"

    def encode(self, batches: BatchStream, out: ByteWriter) -> int:
        """Write every batch; return the number of rows. Does not close ``out``.

        Raises:
            ConfigurationError: a column cannot be written; or its dictionary changes, which the file format does not allow.
        """
        try:
            return super().encode(batches, out)
        except pyarrow().ArrowInvalid as exc:
            if "ictionary" not in str(exc):
                raise
            raise ConfigurationError(
                "a column's dictionary changes from batch to batch, which an Arrow file does not allow; "
                "write a stream (--format arrows)"
            ) from exc

    def _maker(self) -> Callable[..., Any]:
        maker: Callable[..., Any] = pyarrow().ipc.new_file
        return maker


@dataclass(frozen=True)
class ArrowStream(_Ipc):
    """The stream format, ``.arrows``."""

    name: str = "arrows"
    media_type: str = "application/vnd.apache.arrow.stream"

    def _maker(self) -> Callable[..., Any]:
        maker: Callable[..., Any] = pyarrow().ipc.new_stream
        return maker
