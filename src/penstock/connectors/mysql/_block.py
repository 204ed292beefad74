"""Read many rows at once, with numpy over the bytes that a MySQL server has sent.

Rows differ in length, so a column has no fixed position. Instead there is a cursor: an array with the position of the next
value in each row. Reading a column takes the values at the cursor and moves it on, for all rows in a few numpy operations.
"""

from __future__ import annotations

from typing import Any, final

from penstock.connectors.mysql._arrays import Array, Bools, Ints, numpy, pyarrow
from penstock.connectors.mysql._wire import PADDING_BYTES, RowBlock

__all__ = ["Block", "as_array"]

_ONE_BYTE_LENGTH = 251
_HEADER_OF_ROW = 1
_FIRST_NULL_BIT = 2  # the protocol leaves two bits of the bitmap unused


@final
class Block:
    """Received rows of ``column_count`` columns."""

    def __init__(self, rows: RowBlock, column_count: int) -> None:
        np = numpy()
        self.buffer = rows.buffer
        self.data: Ints = np.frombuffer(rows.buffer, np.uint8)
        self.row_count = len(rows.starts)
        self._may_be_kept = rows.is_its_own
        self._bitmaps: Ints = np.frombuffer(rows.starts, np.int64) + _HEADER_OF_ROW
        self.cursor: Ints = self._bitmaps + (column_count + _FIRST_NULL_BIT + 7) // 8
        self._seen: tuple[int, Ints] | None = None

    def valid(self, index: int) -> Bools | None:
        """Return in which rows the column at ``index`` is not NULL; None for in all."""
        byte, bit = divmod(index + _FIRST_NULL_BIT, 8)
        if self._seen is None or self._seen[0] != byte:
            self._seen = (byte, self.data[self._bitmaps + byte])
        nulls = self._seen[1] & (1 << bit)
        return (nulls == 0) if nulls.any() else None

    def at(self, positions: Ints, kind: str) -> Ints:
        """Return the values of numpy's type ``kind`` that begin at ``positions``, aligned or not."""
        np = numpy()
        width = np.dtype(kind).itemsize
        # One element for each byte: they overlap, and only those asked for are ever looked at.
        everywhere = np.ndarray((len(self.data) - width + 1,), kind, buffer=self.buffer, strides=(1,))
        found: Ints = everywhere[positions]
        return found

    def advance(self, width: int | Ints, valid: Bools | None) -> None:
        """Move the cursor over values of ``width`` bytes; a NULL takes none."""
        self.cursor = self.cursor + (width if valid is None else width * valid)

    def take_strings(self, valid: Bools | None) -> tuple[Ints, Ints]:
        """Move over length-encoded strings; return where their bytes begin, and how many they are (NULL: none)."""
        np = numpy()
        cursor = self.cursor
        first = self.data[cursor]
        length = first.astype(np.int64)
        begin = cursor + 1
        if (first >= _ONE_BYTE_LENGTH).any():
            for mark, width, kind, mask in ((252, 2, "<u2", 0xFFFF), (253, 3, "<u4", 0xFFFFFF), (254, 8, "<i8", -1)):
                where = np.flatnonzero(first == mark)
                length[where] = self.at(cursor[where] + 1, kind).astype(np.int64) & mask
                begin[where] += width
        if valid is not None:
            length[~valid] = 0
            begin = np.where(valid, begin, cursor)
        self.cursor = begin + length
        return begin, length

    def strings(self, begin: Ints, length: Ints, valid: Bools | None) -> Array:
        """Return those bytes as an Arrow array of ``binary``: a copy, unless there is one row in a buffer of its own.

        To Arrow, all that was received is one array of twice as many strings: each value, and what lies between it and
        the next. Every second one is then taken, which is Arrow's own code and as fast as copying gets.
        """
        np, arrow = numpy(), pyarrow()
        offsets = np.empty(2 * self.row_count, np.int32)
        offsets[0::2] = begin
        offsets[1::2] = begin + length
        buffers = [None, arrow.py_buffer(offsets), arrow.py_buffer(self.buffer)]
        if self.row_count == 1 and self._may_be_kept and valid is None:
            return arrow.Array.from_buffers(arrow.binary(), 1, buffers)
        everything = arrow.Array.from_buffers(arrow.binary(), 2 * self.row_count - 1, buffers)
        wanted = np.arange(0, 2 * self.row_count, 2, dtype=np.int32)
        found: Array = everything.take(as_array(wanted, valid, arrow.int32()))
        return found


def as_array(values: Ints, valid: Bools | None, kind: Any) -> Array:
    """Return numpy's values as an Arrow array of type ``kind``, which has the same layout."""
    arrow = pyarrow()
    bitmap = None if valid is None else arrow.py_buffer(numpy().packbits(valid, bitorder="little"))
    array: Array = arrow.Array.from_buffers(kind, len(values), [bitmap, arrow.py_buffer(values)])
    return array


assert PADDING_BYTES >= 12  # of the widest thing looked at before it is known to be NULL: a time
