"""Take the wide values out of a row of the server's CSV, without a copy of them.

Arrow's parser copies a block into its own memory, and from there into columns. For a row of 64 MiB that would be two more
of it, beside those that libpq may make. So its long fields stay where they were received, and Arrow gets a row without them.
"""

from __future__ import annotations

import re
from typing import Any

from penstock._extras import need
from penstock.connectors._wide_values import WIDE_BYTES

__all__ = ["taken_apart"]

_PIECE_BYTES = 1 << 20
_REST_OF_QUOTED = re.compile(rb'[^"]*+(?:""[^"]*+)*+')


def taken_apart(row: bytes | bytearray, takes: frozenset[int]) -> tuple[bytes, dict[int, Any]]:
    """Return ``row`` with its wide fields empty, and those by the number of their column, as buffers.

    Args:
        row: one row as COPY writes it, with its line end.
        takes: columns that may be taken out.
    """
    kept: list[bytes | bytearray] = []
    wide: dict[int, Any] = {}
    start, column = 0, 0
    while start < len(row):
        end = _end_of_field(row, start)
        if column in takes and end - start > WIDE_BYTES:
            wide[column] = _value(row, start, end)
            kept.append(row[end : end + 1])
        else:
            kept.append(row[start : end + 1])
        start, column = end + 1, column + 1
    return b"".join(kept), wide


def _end_of_field(row: bytes | bytearray, start: int) -> int:
    """Return where the comma or the line end after the field is."""
    if row.startswith(b'"', start):
        found = _REST_OF_QUOTED.match(row, start + 1)
        assert found is not None, "it also matches nothing"
        return found.end() + 1
    comma = row.find(b",", start)
    return len(row) - 1 if comma < 0 else comma


def _value(row: bytes | bytearray, start: int, end: int) -> Any:
    arrow = _pyarrow()
    if row.startswith(b'"', start):
        start, end = start + 1, end - 1
        if row.find(b'""', start, end) >= 0:
            return arrow.py_buffer(_undoubled(row, start, end))
    return arrow.py_buffer(row).slice(start, end - start)


def _undoubled(row: bytes | bytearray, start: int, end: int) -> bytearray:
    """Return a part of ``row`` with one quote for every two; in pieces, none of which ends between the two."""
    value = bytearray()
    while start < end:
        piece = row[start : min(start + _PIECE_BYTES, end)]
        if (len(piece) - len(piece.rstrip(b'"'))) % 2:
            piece += b'"'
        value += piece.replace(b'""', b'"')
        start += len(piece)
    return value


def _pyarrow() -> Any:
    return need("pyarrow", extra="arrow", why="hold tables")
