"""What stored bytes are: format and compression, as asked for or as a name tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, final

from penstock.connectors._located import located
from penstock.connectors._requests import SourceRequest
from penstock.errors import ConfigurationError, SourceError
from penstock.flow.contracts import BatchStream, ByteReader

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Encoding", "Opener"]

Opener = Callable[[bool], AbstractContextManager[ByteReader]]
"""Opens stored bytes; told whether the reader is to have ``seek`` and ``tell``."""


@final
class Encoding:
    """How to get from stored bytes to batches.

    Args:
        request: whose format, options and compression count before what the name tells.
        name: path or key with suffixes.

    Attributes:
        format: what the bytes mean once they are decompressed.

    Raises:
        ConfigurationError: nothing tells the format, or format and compression do not go together.
    """

    def __init__(self, request: SourceRequest, name: str) -> None:
        self._formats = request.formats
        format_name = request.format or request.formats.infer(name)[0]
        if format_name is None:
            raise ConfigurationError(f"{request.shown}: its name does not tell the format; give --source-format")
        found = request.formats.format_by_name(format_name, request.format_options).sized(request.batch_bytes)
        found = found.with_losses(request.on_type_loss, request.losses)
        self.format = found if request.columns is None else found.projected(request.columns)
        self._told_compression = request.compression
        self._name = name
        self._compression_of(name, request.shown)  # now, because making a source refuses what can not work

    def __str__(self) -> str:
        compression = self._compression_of(self._name, self._name)
        return self.format.dialect if compression is None else f"{self.format.dialect} in {compression}"

    @contextmanager
    def plain(self, opener: Opener, where: str, name: str | None = None) -> Iterator[ByteReader]:
        """Open stored bytes and give them decompressed.

        Args:
            opener: of the bytes.
            where: they are, for messages.
            name: whose suffixes tell the compression, if nothing else did; None for the one given at the beginning.
        """
        compression = self._compression_of(name or self._name, where)
        with opener(False) as stored, self._decompressed(stored, compression) as stream:
            yield stream

    @contextmanager
    def decoded(
        self, opener: Opener, where: str, name: str | None = None, *, schema: pa.Schema | None = None
    ) -> Iterator[tuple[BatchStream, int | None]]:
        """Open stored bytes and give them decompressed and decoded, and how many stored bytes there are, if known.

        Args:
            opener: of the bytes.
            where: they are, for messages.
            name: as for :meth:`plain`.
            schema: what the columns must be; None to find out.
        """
        compression = self._compression_of(name or self._name, where)
        with opener(self.format.needs_seeking) as stored:
            self._check_seekable(stored, where)
            with self._decompressed(stored, compression) as stream, ExitStack() as stack:
                with located(where):
                    batches = stack.enter_context(self.format.decode(stream, schema))
                yield batches, getattr(stored, "size_bytes", None)

    def _compression_of(self, name: str, where: str) -> str | None:
        compression = self._told_compression or self._formats.infer(name)[1]
        if compression is None or compression == "none":
            return None
        if self.format.needs_seeking:
            raise ConfigurationError(
                f"{where}: {self.format.name} is read from its end, which {compression} does not allow; "
                "decompress it to a file first"
            )
        return compression

    def _decompressed(self, stored: ByteReader, compression: str | None) -> AbstractContextManager[ByteReader]:
        return nullcontext(stored) if compression is None else self._formats.decompressing(stored, compression)

    def _check_seekable(self, stored: ByteReader, where: str) -> None:
        is_seekable: Callable[[], bool] = getattr(stored, "seekable", lambda: False)
        if self.format.needs_seeking and not is_seekable():
            raise SourceError(
                f"{self.format.name} is read from its end, and this can only be read from its beginning",
                where=where,
                hint="save it to a file first",
            )
