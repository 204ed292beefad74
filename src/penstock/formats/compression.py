"""Compress and decompress gzip and zstd, as streams in bounded memory.

The end mark of a compressed stream (gzip's trailer, zstd's last block) says that the data is complete. So it is written
only after the stream being compressed has ended without an error. If that stream raises, the compressed bytes have no end
mark, and every reader refuses them. When reading, compressed bytes that stop before the end mark raise; they never look
like a shorter stream.

A compression may have a level: ``"gzip:9"``, ``"zstd:19"``. Higher levels are slower and the result is smaller. zstd's
levels end at 19 here, which needs about 90 MiB; higher ones would take gigabytes on both sides.

Arrow decompresses zstd, as it keeps the rule above and its output is bounded. ``zstandard``'s own readers end silently
where the data was cut off, and its one-shot objects expand a few bytes to any size. Arrow is not used to compress, because
its output streams write the end mark when they are garbage-collected. For gzip, see
:mod:`penstock.formats._gzip_reader`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

from penstock._extras import need
from penstock.errors import ConfigurationError, SourceError
from penstock.flow.streams import as_it_comes
from penstock.flow.suggest import did_you_mean
from penstock.formats._arrow import pyarrow
from penstock.formats._gzip_reader import GzipReader
from penstock.formats._lent import LentStream

if TYPE_CHECKING:
    from penstock.flow.contracts import ByteReader, ByteWriter

__all__ = ["compress", "compression_names", "decompressing", "split_compression"]

_CHUNK_BYTES = 256 << 10
_GZIP_WINDOW = 16 + zlib.MAX_WBITS  # 16: zlib's way to ask for gzip's header and trailer


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


def compression_names() -> tuple[str, ...]:
    """Return the names that :func:`compress` and :func:`decompressing` know."""
    return tuple(_COMPRESSIONS)


def split_compression(text: str) -> tuple[str, int]:
    """Return the name and level of a compression: ``("zstd", 9)`` for ``"zstd:9"``; a bare name has its default level.

    Raises:
        ConfigurationError: there is no compression of that name, or it has no such level.
    """
    name, colon, level = text.partition(":")
    kind = _COMPRESSIONS[_known(name)]
    if not colon:
        return name, kind.usual_level
    if not level.isdecimal() or int(level) not in kind.levels:
        raise ConfigurationError(
            f"the compression {text!r} has no such level; {name} has {kind.levels[0]} to {kind.levels[-1]}"
        )
    return name, int(level)


def compress(stream: ByteReader, out: ByteWriter, name: str) -> int:
    """Read ``stream`` to its end, write it to ``out`` compressed, and return the number of bytes read.

    Blocks as reading and writing do. If either raises, what was written so far has no end mark.

    Args:
        stream: the bytes to compress.
        out: where the compressed bytes go; is not closed.
        name: the compression, with or without a level.

    Raises:
        ConfigurationError: there is no compression of that name, or no such level.
    """
    known, level = split_compression(name)
    compressor = _COMPRESSIONS[known].make(level)
    total = 0
    for chunk in as_it_comes(stream, _CHUNK_BYTES):
        total += len(chunk)
        if packed := compressor.compress(chunk):
            out.write(packed)
    out.write(compressor.flush())
    return total


@contextmanager
def decompressing(stream: ByteReader, name: str) -> Iterator[ByteReader]:
    """Open ``stream`` decompressed. Does not close ``stream``, whose exceptions are raised unchanged.

    Several members or frames after one another are read as one, and zeros after gzip's last member are ignored. Needs some
    hundred KiB of memory, however far the data expands.

    Raises:
        ConfigurationError: there is no compression of that name.
        SourceError: (while reading) the compressed bytes are damaged, or stop before their end.
    """
    if _known(name) == "gzip":
        yield cast("BinaryIO", GzipReader(stream))
        return
    arrow = pyarrow()
    compressed = LentStream(stream)
    with arrow.CompressedInputStream(arrow.PythonFile(compressed, "r"), name) as decompressed:
        yield cast("BinaryIO", _Decompressed(decompressed, compressed, name))


class _Decompressed:
    def __init__(self, decompressed: Any, compressed: LentStream, name: str) -> None:
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
            hint=f"is it {self._name} at all? --source-compression none reads it as it is",
        )


def _new_gzip(level: int) -> _Compressor:
    return zlib.compressobj(level, wbits=_GZIP_WINDOW)


def _new_zstd(level: int) -> _Compressor:
    zstandard = need("zstandard", extra="arrow", why="write zstd")
    compressor: _Compressor = zstandard.ZstdCompressor(level=level, write_checksum=True).compressobj()
    return compressor


@dataclass(frozen=True)
class _Compression:
    make: Callable[[int], _Compressor]
    levels: range
    usual_level: int


_COMPRESSIONS = {
    "gzip": _Compression(_new_gzip, range(1, 10), usual_level=6),
    "zstd": _Compression(_new_zstd, range(1, 20), usual_level=3),
}


def _known(name: str) -> str:
    if name not in _COMPRESSIONS:
        hint = did_you_mean(name, _COMPRESSIONS, otherwise=f"known are {', '.join(_COMPRESSIONS)}")
        raise ConfigurationError(f"unknown compression {name!r}: {hint}")
    return name
