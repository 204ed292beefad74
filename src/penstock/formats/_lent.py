"""Lend our streams to Arrow, without letting it close them, or complete a file after an error."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from penstock.flow.contracts import ByteReader, ByteWriter

__all__ = ["LentStream", "finishing"]

_FLUSH_BYTES = 256 << 10
_PIECE_BYTES = 1 << 20


class LentStream(io.RawIOBase):
    """A stream lent to Arrow for reading.

    Args:
        stream: what to read from. It is not closed.
        start: bytes already read from it, which come first.

    Attributes:
        position: how far it has been read.
        error: what the stream raised, if it did; Arrow hands this very object on.
    """

    def __init__(self, stream: ByteReader, start: bytes = b"") -> None:
        super().__init__()
        self._stream = stream
        self._start = start
        self.position = 0
        self.error: BaseException | None = None

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return what the stream says of itself."""
        return getattr(self._stream, "seekable", lambda: False)()

    def read(self, size: int = -1, /) -> bytes:
        """Read as the stream does, and remember what it raises."""
        if self._start:
            data, self._start = (self._start, b"") if size < 0 else (self._start[:size], self._start[size:])
            size -= len(data) if size > 0 else 0
            if size:
                data += self._read(size)
        else:
            data = self._read(size)
        self.position += len(data)
        return data

    def _read(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except BaseException as exc:
            self.error = exc
            raise

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go somewhere else in the stream."""
        self.position = self._stream.seek(offset, whence)
        return self.position

    def tell(self) -> int:
        """Return where in the stream it is."""
        return self.position


class _Writer(Protocol):
    def close(self) -> None: ...


_AnyWriter = TypeVar("_AnyWriter", bound=_Writer)


@contextmanager
def finishing(out: ByteWriter, make: Callable[[Any], _AnyWriter]) -> Iterator[_AnyWriter]:
    """Give a writer of Arrow's that writes to ``out``, and finish its file only if the block ends without an error.

    Arrow's writers complete the file when they are closed, and they are closed by their own ``__exit__`` and when they are
    garbage-collected, even after an error: the result would be a valid file with only some of the rows. So whatever a
    writer writes after an error is dropped.

    Args:
        out: is not closed.
        make: makes the writer of a file object.
    """
    valve = _Valve(out)
    writer = make(valve)
    try:
        yield writer
        writer.close()
        valve.flush()
    except BaseException:
        valve.shut()
        with suppress(Exception):  # the file is not to be completed, so errors from completing it do not matter
            writer.close()
        raise


class _Valve(io.RawIOBase):
    """A file that can only be written, from its beginning to its end; joins small writes."""

    def __init__(self, out: ByteWriter) -> None:
        super().__init__()
        self._out: ByteWriter | None = out
        self._waiting = bytearray()
        self._position = 0

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        return self._position

    def write(self, data: Any, /) -> int:
        size = memoryview(data).nbytes
        self._position += size
        if self._out is not None:
            if size < _FLUSH_BYTES:
                self._waiting += data
            if len(self._waiting) >= _FLUSH_BYTES or size >= _FLUSH_BYTES:
                self.flush()
            if size >= _FLUSH_BYTES:
                self._write_in_pieces(memoryview(data).cast("B"))
        return size

    def _write_in_pieces(self, data: memoryview) -> None:
        # So that of one wide value no copy is made, and whoever takes the pieces lets go of each as it is stored.
        for start in range(0, len(data), _PIECE_BYTES):
            if self._out is not None:
                self._out.write(bytes(data[start : start + _PIECE_BYTES]))

    def flush(self) -> None:
        if self._out is not None and self._waiting:
            data = bytes(self._waiting)
            self._waiting.clear()
            self._out.write(data)

    def shut(self) -> None:
        """Drop everything written from now on."""
        self._out = None
        self._waiting.clear()
