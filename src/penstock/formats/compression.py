"""gzip and zstd, both ways, as streams in bounded memory.

The end mark of a compressed stream (gzip's trailer, zstd's last block) says "this is all there was". So it is written
in one place only: after the stream being compressed has ended by itself. A stream that raises leaves compressed
bytes without their end, which every reader refuses. In the other direction, compressed bytes that stop before the end
mark raise; they never look like a shorter stream.

Arrow decompresses: it holds that rule for both, with bounded output. ``zstandard``'s own readers end quietly where the
data was cut, and its one-shot objects expand a few bytes to any size. Arrow does not compress: its output streams
write the end mark when they are garbage-collected.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

from penstock._extras import need
from penstock.errors import ConfigurationError, SourceError
from penstock.flow.suggest import did_you_mean
from penstock.formats._arrow import pyarrow

if TYPE_CHECKING:
    from penstock.flow.contracts import ByteReader, ByteWriter

__all__ = ["compress", "compression_names", "decompressing"]

_CHUNK_BYTES = 256 << 10
_GZIP_LEVEL = 6
_ZSTD_LEVEL = 3
_GZIP_WINDOW = 16 + zlib.MAX_WBITS  # 16: zlib's way to ask for gzip's header and trailer


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


def compression_names() -> tuple[str, ...]:
    """Return the names :func:`compress` and :func:`decompressing` know."""
    return tuple(_COMPRESSORS)


def compress(stream: ByteReader, out: ByteWriter, name: str) -> int:
    """Read ``stream`` to its end, write it to ``out`` compressed, and return the number of bytes read.

    Blocks where reading and writing block. When either raises, what was written so far has no end mark.

    Raises:
        ConfigurationError: there is no compression of that name.
    """
    compressor = _COMPRESSORS[_known(name)]()
    total = 0
    while chunk := stream.read(_CHUNK_BYTES):
        total += len(chunk)
        if packed := compressor.compress(chunk):
            out.write(packed)
    out.write(compressor.flush())
    return total


@contextmanager
def decompressing(stream: ByteReader, name: str) -> Iterator[ByteReader]:
    """Give a reader of ``stream`` decompressed. Does not close ``stream``; an exception of it passes as it is.

    Several members or frames after each other read as one. Holds some hundred KiB, however far the data expands.

    Raises:
        ConfigurationError: there is no compression of that name.
        SourceError: (while reading) the compressed bytes are damaged, or stop before their end.
    """
    arrow = pyarrow()
    compressed = _Borrowed(stream)
    with arrow.CompressedInputStream(arrow.PythonFile(compressed, "r"), _known(name)) as decompressed:
        yield cast("BinaryIO", _Decompressed(decompressed, compressed, name))


class _Borrowed(io.RawIOBase):
    """A stream lent to Arrow, which closes what it is given; remembers what went wrong in it and how far it came."""

    def __init__(self, stream: ByteReader) -> None:
        super().__init__()
        self._stream = stream
        self.position = 0
        self.error: BaseException | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        try:
            data = self._stream.read(size)
        except BaseException as exc:
            self.error = exc
            raise
        self.position += len(data)
        return data


class _Decompressed:
    def __init__(self, decompressed: Any, compressed: _Borrowed, name: str) -> None:
        self._decompressed = decompressed
        self._compressed = compressed
        self._name = name

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        try:
            data: bytes = self._decompressed.read(None if size < 0 else size)
        except OSError as exc:
            if exc is self._compressed.error:
                raise
            raise self._translated(exc) from exc
        if not data and size and not self._compressed.position:
            raise SourceError(f"empty, where {self._name} data should be", hint="the file was cut short")
        return data

    read1 = read

    def _translated(self, exc: OSError) -> SourceError:
        position = self._compressed.position
        if "Truncated" in str(exc):
            return SourceError(
                f"the {self._name} data stops after {position} bytes, before its end",
                hint="the file was cut short; get a complete one",
            )
        return SourceError(
            f"damaged {self._name} data within its first {position} bytes",
            hint=f"is it {self._name} at all? --compression none reads it as it is",
        )


def _new_gzip() -> _Compressor:
    return zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP_WINDOW)


def _new_zstd() -> _Compressor:
    zstandard = need("zstandard", extra="arrow", why="write zstd")
    compressor: _Compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True).compressobj()
    return compressor


_COMPRESSORS: dict[str, Callable[[], _Compressor]] = {"gzip": _new_gzip, "zstd": _new_zstd}


def _known(name: str) -> str:
    if name not in _COMPRESSORS:
        hint = did_you_mean(name, _COMPRESSORS, otherwise=f"known are {', '.join(_COMPRESSORS)}")
        raise ConfigurationError(f"unknown compression {name!r}: {hint}")
    return name
