"""Find the format and compression of stored bytes, from the request or from their name, and decode them."""

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
    """Turns stored bytes into batches.

    Args:
        request: the request; a format, options or compression in it take precedence over the name.
        name: a path or key, whose suffixes may tell format and compression.

    Attributes:
        format: the format of the decompressed bytes.

    Raises:
        ConfigurationError: the format is unknown, or format and compression do not go together.
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
        self._compression_of(name, request.shown)  # now, because making a source refuses what cannot work

    def __str__(self) -> str:
        compression = self._compression_of(self._name, self._name)
        return self.format.dialect if compression is None else f"{self.format.dialect} in {compression}"

    @contextmanager
    def plain(self, opener: Opener, where: str, name: str | None = None) -> Iterator[ByteReader]:
        """Open stored bytes, decompressed.

        Args:
            opener: opens the stored bytes.
            where: their address, for messages.
            name: the name whose suffixes tell the compression, if the request does not; None for the one given above.
        """
        compression = self._compression_of(name or self._name, where)
        with opener(False) as stored, self._decompressed(stored, compression) as stream:
            yield stream

    @contextmanager
    def decoded(
        self, opener: Opener, where: str, name: str | None = None, *, schema: pa.Schema | None = None
    ) -> Iterator[tuple[BatchStream, int | None]]:
        """Open stored bytes, decompressed and decoded; also give the number of stored bytes, if known.

        Args:
            opener: opens the stored bytes.
            where: their address, for messages.
            name: as for :meth:`plain`.
            schema: the columns they must have; None to infer them.
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
