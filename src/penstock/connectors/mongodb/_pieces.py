"""Divide replies into pieces: whole BSON documents as received, and the positions at which each begins."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import Any, final

from penstock.connectors.mongodb._arrays import Ints, numpy
from penstock.connectors.mongodb._json import decoder

__all__ = ["Piece", "pieces"]

_SHORTEST_DOCUMENT = 5  # its length, and a zero at the end
_LENGTH = Struct("<i")


@final
@dataclass(frozen=True)
class Piece:
    """Whole documents.

    Attributes:
        data: their bytes.
        starts: where each begins.
        ends: where each has ended.
    """

    data: memoryview
    starts: Ints
    ends: Ints

    def __len__(self) -> int:
        return len(self.starts)

    def first(self, count: int) -> Piece:
        """Return the first ``count`` of them."""
        return Piece(self.data, self.starts[:count], self.ends[:count])

    def documents(self) -> list[dict[str, Any]]:
        """Decode them all.

        Raises:
            bson.errors.InvalidBSON: that is no document, or there is text in it that is not UTF-8.
        """
        return decoder()(self.data[: int(self.ends[-1])])

    def decoded(self, rows: Ints) -> list[dict[str, Any]]:
        """Decode those of ``rows``."""
        bounds = zip(self.starts[rows].tolist(), self.ends[rows].tolist(), strict=True)
        return decoder()(b"".join([self.data[start:end] for start, end in bounds]))


def pieces(reply: bytes, size_bytes: int) -> Iterator[Piece]:
    """Divide the documents of a reply into pieces of whole documents, of about ``size_bytes``."""
    np = numpy()
    starts = _starts(reply)
    ends = np.append(starts[1:], len(reply))
    first = 0
    while first < len(starts):
        begin = int(starts[first])
        after = min(int(np.searchsorted(ends, begin + size_bytes)) + 1, len(starts))
        data = memoryview(reply)[begin : int(ends[after - 1])]
        yield Piece(data, starts[first:after] - begin, ends[first:after] - begin)
        first = after


def _starts(reply: bytes) -> Ints:
    """Return where each document begins. What is no document is the last one, for the decoder to judge."""
    starts = array("q")
    position, longest = 0, len(reply)
    note, unpack = starts.append, _LENGTH.unpack_from
    last = longest - _SHORTEST_DOCUMENT
    while position <= last:
        note(position)
        (length,) = unpack(reply, position)
        position += length if length >= _SHORTEST_DOCUMENT else longest
    if position < longest:
        note(position)
    found: Ints = numpy().frombuffer(starts, numpy().int64)
    return found
