"""Read many BSON values at once, with numpy over the bytes that a MongoDB server has sent."""

from __future__ import annotations

from functools import cache
from typing import Any, final

from penstock.connectors.mongodb._arrays import Array, Bools, Ints, numpy, pyarrow
from penstock.connectors.mongodb._pieces import Piece

__all__ = ["WORD_BYTES", "Block", "BsonType", "widths"]

WORD_BYTES = 8
_PADDING_BYTES = 16  # behind the documents; as wide as what is looked at before it is known to be there gets: a UUID
_BEYOND = 1 << 40  # moves a cursor out of any document

# Widths of values, by the byte that says their type. Those of the second kind begin with a length, and are as much longer
# as is said here; the least that length may be stands behind. Regular expressions and pointers have no length: odd.
_FIXED = {1: 8, 6: 0, 7: 12, 8: 1, 9: 8, 10: 0, 16: 4, 17: 8, 18: 8, 19: 16, 127: 0, 255: 0}
_PREFIXED = {2: (4, 1), 3: (0, 5), 4: (0, 5), 5: (5, 0), 13: (4, 1), 14: (4, 1), 15: (0, 14)}


class BsonType:
    """The bytes that say what a value is."""

    DOUBLE, STRING, DOCUMENT, ARRAY, BINARY, UNDEFINED, OBJECT_ID, BOOL = 1, 2, 3, 4, 5, 6, 7, 8
    DATE, NULL, CODE, SYMBOL, CODE_WITH_SCOPE, INT, TIMESTAMP, LONG, DECIMAL = 9, 10, 13, 14, 15, 16, 17, 18, 19
    MAX_KEY, MIN_KEY = 127, 255
    NOTHING = (0, NULL, UNDEFINED)  # 0: a field that is not there


@final
class Block:
    """Received bytes, to be looked at in many places at once.

    Attributes:
        starts: where documents begin.
        last_word: the last place that has ``WORD_BYTES``.
    """

    def __init__(self, buffer: bytes, starts: Ints) -> None:
        self._buffer = buffer
        self.last_word = len(buffer) - WORD_BYTES
        self.starts = starts

    @classmethod
    def of_piece(cls, piece: Piece) -> Block:
        """Copy the documents of a piece, with room behind them."""
        return cls(b"".join((piece.data[: int(piece.ends[-1])], bytes(_PADDING_BYTES))), piece.starts)

    def of(self, starts: Ints) -> Block:
        """Return the same bytes, as those of the documents inside that begin at ``starts``."""
        return Block(self._buffer, starts)

    @property
    def view(self) -> memoryview:
        """All the bytes."""
        return memoryview(self._buffer)

    def at(self, positions: Ints, kind: str) -> Ints:
        """Return the values of numpy's type ``kind`` that begin at ``positions``, aligned or not."""
        np = numpy()
        # One element for each byte: they overlap, and only those asked for are ever looked at.
        count = len(self._buffer) - np.dtype(kind).itemsize + 1
        found: Ints = np.ndarray((count,), kind, buffer=self._buffer, strides=(1,))[positions]
        return found

    def bytes_at(self, begin: int, end: int) -> bytes:
        """Return these."""
        return self._buffer[begin:end]

    def strings(self, begin: Ints, length: Ints, valid: Bools) -> Array:
        """Return a copy of those bytes as an Arrow array of ``binary``. What is not valid may be anywhere in its document.

        To Arrow, all that was received is one array of twice as many strings: each value, and what lies between it and
        the next. Every second one is then taken, which is Arrow's own code and as fast as copying gets.
        """
        np, arrow = numpy(), pyarrow()
        offsets = np.empty(2 * len(begin), np.int32)
        offsets[0::2] = begin
        offsets[1::2] = begin + length
        buffers = [None, arrow.py_buffer(offsets), arrow.py_buffer(self._buffer)]
        everything = arrow.Array.from_buffers(arrow.binary(), 2 * len(begin) - 1, buffers)
        wanted = np.arange(0, 2 * len(begin), 2, dtype=np.int32)
        return everything.take(arrow.array(wanted, mask=None if valid.all() else ~valid))


def widths(block: Block, types: Ints, begins: Ints) -> Any:
    """Return how many bytes values have: for each, or one number for all. Far too many, if a length is wrong."""
    np = numpy()
    width_of, least = _tables()
    first = int(types[0])
    if (types == first).all():
        if first not in _PREFIXED:
            return _FIXED.get(first, _BEYOND)
        more, shortest = _PREFIXED[first]
        lengths = block.at(begins, "<i4").astype(np.int64)
        return np.where(lengths >= shortest, lengths, _BEYOND) + more
    found = width_of[types]
    with_length = np.flatnonzero(least[types] >= 0)
    if with_length.size:
        lengths = block.at(begins[with_length], "<i4").astype(np.int64)
        found[with_length] += np.where(lengths >= least[types[with_length]], lengths, _BEYOND)
    return found


@cache
def _tables() -> tuple[Ints, Ints]:
    """Return the width of a value by its type, and the least its length may be; that is -1 for those without one."""
    np = numpy()
    widths, least = np.full(256, _BEYOND, np.int64), np.full(256, -1, np.int64)
    for code, width in _FIXED.items():
        widths[code] = width
    for code, (more, shortest) in _PREFIXED.items():
        widths[code], least[code] = more, shortest
    return widths, least
