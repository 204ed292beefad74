"""Notice that a row is going to be too long before libpq has all of it."""

from __future__ import annotations

import fcntl
import struct
import termios
from typing import final

from penstock.connectors.postgres._row_stream import RowTooLong

__all__ = ["UnfinishedRow"]


@final
class UnfinishedRow:
    """Notices that a row is going to be too long while it is still coming.

    libpq does not say how much of a row it has. But until a row is complete, all that comes in belongs to it.
    """

    def __init__(self, descriptor: int, most_bytes: int | None) -> None:
        self._descriptor = descriptor
        self._most_bytes = most_bytes
        self._rows = -1
        self._bytes = 0

    def before_receiving(self, rows: int) -> None:
        """Look at what is about to be received, after ``rows`` whole ones."""
        if self._most_bytes is None:
            return
        if rows != self._rows:  # not counted: it may be the rest of the row before, too
            self._rows, self._bytes = rows, 0
            return
        self._bytes += struct.unpack("i", fcntl.ioctl(self._descriptor, termios.FIONREAD, b"\0\0\0\0"))[0]
        if self._bytes > self._most_bytes:
            raise RowTooLong(rows)
