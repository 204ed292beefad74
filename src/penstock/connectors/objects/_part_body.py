"""The bytes of one part of an upload, in memory or in an unnamed temporary file, re-read each time it is sent."""

from __future__ import annotations

import io
import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, final

from penstock.core.cancel import check_cancelled
from penstock.errors import SinkError
from penstock.flow.contracts import ByteReader

__all__ = ["PIECE_BYTES", "FileBody", "MemoryBody", "PartBody", "read_part"]

PIECE_BYTES = 1 << 20


class PartBody(Protocol):
    """The body of one request: a file object that a client library reads, and rewinds to send it again."""

    size: int

    def append(self, piece: bytes) -> None:
        """Add bytes at the end; done before the body is read."""
        ...

    def read(self, size: int = -1, /) -> bytes:
        """Read on. Raises ``Cancelled`` if the scope is cancelled, because signing and sending a part takes a while."""
        ...

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to another position."""
        ...

    def tell(self) -> int:
        """Return the position."""
        ...

    def close(self) -> None:
        """Release the bytes. Idempotent."""
        ...


@final
class MemoryBody:
    """A body in a memory mapping of its own, which returns to the system at once. In the heap it would leave holes.

    Args:
        room_bytes: how many bytes it can hold. Memory that was not used yet takes no room, unless it was touched.
    """

    def __init__(self, room_bytes: int) -> None:
        self.size = 0
        self.room_bytes = room_bytes
        self._room = mmap.mmap(-1, room_bytes)

    def touch(self) -> None:
        """Make the system allocate all of the memory now."""
        pages = -(-self.room_bytes // mmap.PAGESIZE)
        self._room[:: mmap.PAGESIZE] = bytes(pages)

    def append(self, piece: bytes) -> None:
        self._room[self.size : self.size + len(piece)] = piece
        self.size += len(piece)

    def read(self, size: int = -1, /) -> bytes:
        check_cancelled()
        rest = self.size - self._room.tell()
        return self._room.read(rest if size < 0 else min(size, rest))

    def seek(self, offset: int, whence: int = 0, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._room.tell(), os.SEEK_END: self.size}[whence]
        self._room.seek(max(0, min(base + offset, self.size)))
        return self._room.tell()

    def tell(self) -> int:
        return self._room.tell()

    def empty(self) -> None:
        """Drop the bytes, but keep the memory for others."""
        self.size = 0
        self._room.seek(0)

    def close(self) -> None:
        self._room.close()


@final
class FileBody:
    """A body in an unnamed temporary file, which disappears with its descriptor, whatever happens to the process."""

    def __init__(self, where: str) -> None:
        self.size = 0
        self._where = where
        with self._translating():
            self._file = tempfile.TemporaryFile(prefix="penstock-", buffering=0)  # noqa: SIM115 - closed by close()

    def append(self, piece: bytes) -> None:
        with self._translating():
            rest = memoryview(piece)
            while rest:
                rest = rest[self._file.write(rest) :]
        self.size += len(piece)

    def read(self, size: int = -1, /) -> bytes:
        check_cancelled()
        with self._translating():
            return self._file.read(size) or b""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            hint = "an object this large needs temporary space for two parts; TMPDIR says where, or raise max_memory"
            raise SinkError(f"temporary file: {exc.strerror or exc}", where=self._where, hint=hint) from exc


def read_part(stream: ByteReader, size: int, body: PartBody) -> PartBody:
    """Fill ``body`` with up to ``size`` bytes of ``stream``, less only at its end. If that fails, close ``body``."""
    try:
        while body.size < size and (piece := stream.read(min(PIECE_BYTES, size - body.size))):
            body.append(piece)
        body.seek(0, io.SEEK_SET)
    except BaseException:
        body.close()
        raise
    return body
