"""Read gzip, including zeros after its last member, and refuse data that is cut off.

Arrow's reader does not say where a member ends. So it takes for damage the zeros that tapes, and programs that write in
whole blocks, leave after the last member, and which gzip itself ignores. Like Arrow's, this reader raises if the data
stops before its end.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, final

from penstock.errors import SourceError
from penstock.flow.streams import as_it_comes

if TYPE_CHECKING:
    from penstock.flow.contracts import ByteReader

__all__ = ["GzipReader"]

_CHUNK_BYTES = 64 << 10  # what is left of one is copied with each piece that comes out of it
_PIECE_BYTES = 1 << 20
_WITH_HEADER = 16 + zlib.MAX_WBITS


@final
class GzipReader:
    """A reader of members one after another, and of zeros after the last. Holds a chunk, and what it is asked for.

    Args:
        stream: compressed; what it raises passes as it is.

    Raises:
        SourceError: (while reading) it is no gzip, damaged, or stops before its end.
    """

    def __init__(self, stream: ByteReader) -> None:
        self._chunks = as_it_comes(stream, _CHUNK_BYTES)
        self._rest = b""
        self._position = 0
        self._member = _new_member()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Block until there are ``size`` bytes, or all when it is negative, or no more."""
        pieces: list[bytes] = []
        missing = size
        while missing:
            piece = self._piece(_PIECE_BYTES if missing < 0 else missing)
            if not piece:
                break
            pieces.append(piece)
            missing -= len(piece) if size >= 0 else 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    read1 = read

    def _piece(self, most: int) -> bytes:
        """Return some bytes, at most so many; none at the end."""
        while not self._member.eof or self._begin_next():
            is_end = not self._rest and not self._fill()
            try:
                piece = self._member.decompress(self._rest, most)
            except zlib.error as exc:
                raise self._damaged("is it gzip at all? --source-compression none reads it as it is") from exc
            self._rest = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            if piece:
                return piece
            if is_end and not self._member.eof:
                raise self._cut_short()
        return b""

    def _fill(self) -> bool:
        """Read on; False at the end."""
        self._rest = next(self._chunks, b"")
        self._position += len(self._rest)
        return bool(self._rest)

    def _begin_next(self) -> bool:
        """Begin the next member; False where there is none."""
        if not self._rest and not self._fill():
            return False
        if self._rest[0]:
            self._member = _new_member()
            return True
        while self._rest:
            if self._rest.count(0) != len(self._rest):
                raise self._damaged("there is something else behind the end of it, after zeros")
            self._fill()
        return False

    def _damaged(self, hint: str) -> SourceError:
        return SourceError(f"damaged gzip data within its first {self._position} bytes", hint=hint)

    def _cut_short(self) -> SourceError:
        if not self._position:
            return SourceError("empty, where gzip data should be", hint="the file was cut short")
        return SourceError(
            f"the gzip data stops after {self._position} bytes, before its end",
            hint="the file was cut short; get a complete one",
        )


def _new_member() -> zlib._Decompress:
    return zlib.decompressobj(wbits=_WITH_HEADER)
