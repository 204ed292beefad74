"""Find the rows among the bytes of a COPY, and take away what the protocol has put before each.

Five bytes precede a row ("Message Formats" in PostgreSQL's manual): a ``d`` and four of length. No byte of a row is 0, and the last
is a line end, which is how they are told apart.

Where rows become columns, a few are found by following their lengths, and many at once, with numpy, which takes a tenth of a second
to load, and 15 MB. Where they only pass, they need not be found, let alone one by one: one pattern takes all headers out.
"""

from __future__ import annotations

import re
import struct
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, Union

from penstock._extras import need

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = [
    "FEW_ROWS",
    "HEADER",
    "ROW",
    "Starts",
    "are_only_rows",
    "end_of_whole_rows",
    "headers_to_empty_lines",
    "missing_bytes",
    "rows_alone",
    "whole_messages",
]

HEADER = struct.Struct(">BI")  # what a message is, and how long it is without that
ROW = ord("d")
_NEXT = b"\nd\0"  # a row's end, and how the next begins: a chunk has no room for one whose length begins otherwise
_BETWEEN = re.compile(_NEXT + b".{3}", re.DOTALL)
_NO_ROW = re.compile(rb"\n[^d]\0")  # how a message after a row begins that is none; or within a length, rarely
_PERHAPS_NO_ROW = re.compile(rb"\n[^d](\0|\Z)")  # and perhaps only the beginning of that
_EMPTY_LINES = b"\n" * HEADER.size
FEW_ROWS = 10_000
"""So many are through by the time that numpy would be there."""

Starts: TypeAlias = Union[Sequence[int], "npt.NDArray[np.int64]"]


def whole_messages(block: memoryview, *, many: bool) -> tuple[Starts, int]:
    """Return where rows begin, and where the last one ends, as many as there are whole at the beginning of ``block``.

    Args:
        block: what was received, from the beginning of a message on.
        many: whether there are more than a few in all.
    """
    if missing_bytes(bytes(block[: HEADER.size]), len(block)) > 0:
        # Not even one. It is not searched: a long row comes in many pieces, and would be with each.
        return (), 0
    if many or "numpy" in sys.modules:
        return _at_once(block)
    return _one_by_one(block)


def _at_once(block: memoryview) -> tuple[Starts, int]:
    numpy = _numpy()
    data = numpy.frombuffer(block, numpy.uint8)
    # No byte of a row is 0. So a "d" and a 0 begin one, mostly: the length of a large one may have neither, or both.
    starts = numpy.flatnonzero(data[1 : len(data) - 3] == 0)
    starts = starts[data[starts] == ROW]
    ends = starts + _four_bytes(data[1:])[starts] + 1
    if not len(starts) or starts[0] or (starts[1:] != ends[:-1]).any():
        return _one_by_one(block)
    if ends[-1] > len(data):
        return starts[:-1], int(starts[-1])
    return starts, int(ends[-1])


def _one_by_one(block: memoryview) -> tuple[Starts, int]:
    starts = []
    end = 0
    while end + HEADER.size <= len(block) and block[end] == ROW:
        _kind, length = HEADER.unpack_from(block, end)
        if end + 1 + length > len(block):
            break
        starts.append(end)
        end += 1 + length
    return starts, end


def end_of_whole_rows(room: bytearray, start: int, until: int) -> int:
    """Return how long the whole rows at the beginning of ``room[start:until]`` are, which begins with a message."""
    if room[start] != ROW or missing_bytes(room[start : start + HEADER.size], until - start) > 0:
        return 0
    if _NO_ROW.search(room, start, until):
        with memoryview(room) as view:
            return _one_by_one(view[start:until])[1]
    last = _last_header(room, start, until)
    if missing_bytes(room[last : last + HEADER.size][: until - last], until - last) > 0:
        return last - start
    return last + 1 + int(HEADER.unpack_from(room, last)[1]) - start


def are_only_rows(room: memoryview, whole: int, begun: int, until: int) -> bool:
    """Whether ``room[begun:until]`` surely has nothing but rows, and the beginning of one. ``room[whole]`` begins a message."""
    line_end = max(whole, begun - 1)  # behind which another message may begin
    return room[whole] == ROW and not _PERHAPS_NO_ROW.search(room, line_end, until)


def _last_header(room: bytearray, start: int, until: int) -> int:
    while (found := room.rfind(_NEXT, start, until)) >= 0:
        if room[found - 1]:  # else it is within the length of a long one: a row has no 0
            return found + 1
        until = found
    return start


def rows_alone(messages: memoryview) -> tuple[bytes, int]:
    """Return whole rows without what stands before each, and how many they are."""
    rows, others = _BETWEEN.subn(b"\n", messages[HEADER.size :])
    return rows, others + 1


def headers_to_empty_lines(block: memoryview, starts: Starts) -> None:
    """Put line ends in the place of every header."""
    if isinstance(starts, Sequence):
        for start in starts:
            block[start : start + HEADER.size] = _EMPTY_LINES
    else:
        data = _numpy().frombuffer(block, _numpy().uint8)
        _four_bytes(data)[starts] = int.from_bytes(_EMPTY_LINES[:4])
        data[starts + 4] = _EMPTY_LINES[4]


def missing_bytes(head: bytes | bytearray, received: int) -> int:
    """Return how many bytes are to come of a message that begins so; of its length, as long as that is not known."""
    if len(head) < HEADER.size:
        return HEADER.size - len(head)
    return 1 + int(HEADER.unpack(head)[1]) - received


def _four_bytes(data: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint32]:
    """Return the numbers that begin at each byte."""
    numbers: npt.NDArray[np.uint32] = _numpy().ndarray((len(data) - 3,), ">u4", buffer=data, strides=(1,))
    return numbers


def _numpy() -> Any:
    return need("numpy", extra="postgres", why="read COPY")
