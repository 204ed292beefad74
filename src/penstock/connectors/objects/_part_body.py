"""The bytes of one part, read as often as it has to be sent: in memory, or in an unnamed temporary file."""

from __future__ import annotations

import io
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
    """What a client library sends: a file object that it reads, and rewinds to read again."""

    size: int

    def append(self, piece: bytes) -> None:
        """Add to the end, before it is read."""
        ...

    def read(self, size: int = -1, /) -> bytes:
        """Read on; raises ``Cancelled`` where the scope is cancelled, as signing and sending a part takes a while."""
        ...

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go somewhere else."""
        ...

    def tell(self) -> int:
        """Say where it is."""
        ...

    def close(self) -> None:
        """Let the bytes go."""
        ...


@final
class MemoryBody:
    """Pieces as they came, never joined: joining would take the memory of the part twice."""

    def __init__(self) -> None:
        self.size = 0
        self._pieces: list[bytes] = []
        self._starts: list[int] = []
        self._position = 0

    def append(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._starts.append(self.size)
        self.size += len(piece)

    def read(self, size: int = -1, /) -> bytes:
        check_cancelled()
        wanted = self.size - self._position if size < 0 else min(size, self.size - self._position)
        parts = list(self._from_here(wanted))
        self._position += wanted
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _from_here(self, wanted: int) -> Iterator[bytes]:
        position = self._position
        index = self._index(position)
        while wanted:
            piece, start = self._pieces[index], self._starts[index]
            part = piece[position - start : position - start + wanted]  # a whole bytes object is not copied
            yield part
            position, wanted, index = position + len(part), wanted - len(part), index + 1

    def _index(self, position: int) -> int:
        # Pieces but the last are of one size where the stream keeps its contract, so the guess is right at once.
        index = min(position // PIECE_BYTES, len(self._pieces) - 1)
        while index > 0 and self._starts[index] > position:
            index -= 1
        while index + 1 < len(self._starts) and self._starts[index + 1] <= position:
            index += 1
        return max(index, 0)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        self._position = max(0, min(base + offset, self.size))
        return self._position

    def tell(self) -> int:
        return self._position

    def close(self) -> None:
        self._pieces.clear()
        self._starts.clear()


@final
class FileBody:
    """In a file without a name, which goes with its descriptor, whatever becomes of the process."""

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
    """Fill ``body`` with up to ``size`` bytes of ``stream``, less only at its end; closed when that fails."""
    try:
        while body.size < size and (piece := stream.read(min(PIECE_BYTES, size - body.size))):
            body.append(piece)
        body.seek(0, io.SEEK_SET)
    except BaseException:
        body.close()
        raise
    return body
