"""Give random access to anything that can be read in ranges of bytes. For Parquet, whose reading starts at the end.

Memory is bounded: one window of bytes that are read ahead, and what a single ``read`` asks for.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import final

from penstock.errors import SourceError

__all__ = ["RangedReader"]

_SMALLEST_WINDOW = 64 << 10
_LARGEST_WINDOW = 4 << 20


@final
class RangedReader:
    """A reader with ``seek`` and ``tell`` over ranged requests.

    A read of less than a window fetches a window: 64 KiB after a jump, and twice as much each time reading goes on
    where it had stopped, up to 4 MiB. A larger read fetches what it asks for, and no more.

    Args:
        fetch: returns the bytes from the first position up to, and not with, the second. Blocks, wakes on cancel, and
            raises ``SourceError``; also when what it reads from is not what it was.
        size_bytes: how many bytes there are.
        where: for messages.

    Attributes:
        size_bytes: how many bytes there are.
        closed: always false; who opened it, closes it.
    """

    closed = False

    def __init__(self, fetch: Callable[[int, int], bytes], size_bytes: int, *, where: str) -> None:
        self.size_bytes = size_bytes
        self._fetch = fetch
        self._where = where
        self._position = 0
        self._window = b""
        self._window_start = 0
        self._window_bytes = _SMALLEST_WINDOW

    def read(self, size: int = -1, /) -> bytes:
        """Read ``size`` bytes, less only at the end; all that is left for -1."""
        left = max(0, self.size_bytes - self._position)
        wanted = left if size < 0 else min(size, left)
        data = self._from_window(wanted)
        if len(data) < wanted:
            data += self._fetched(wanted - len(data))
        return data

    def _from_window(self, wanted: int) -> bytes:
        offset = self._position - self._window_start
        if not 0 <= offset < len(self._window):
            return b""
        data = self._window[offset : offset + wanted]
        self._position += len(data)
        return data

    def _fetched(self, wanted: int) -> bytes:
        start = self._position
        goes_on = start == self._window_start + len(self._window)
        self._window_bytes = min(self._window_bytes * 2, _LARGEST_WINDOW) if goes_on else _SMALLEST_WINDOW
        end = min(start + max(wanted, self._window_bytes), self.size_bytes)
        data = self._fetch(start, end)
        if len(data) != end - start:
            raise SourceError(f"{len(data)} bytes came where {end - start} were asked for", where=self._where)
        self._position += wanted
        # A large read leaves an empty window behind it, which says where the next one would go on.
        self._window, self._window_start = (data, start) if len(data) > wanted else (b"", end)
        return data[:wanted]

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to another position. Fetches nothing."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size_bytes}[whence]
        if base + offset < 0:
            raise ValueError(f"seek to {base + offset}, before the beginning")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """Return the position the next read begins at."""
        return self._position

    def seekable(self) -> bool:
        """Return True."""
        return True

    def readable(self) -> bool:
        """Return True."""
        return True

    def writable(self) -> bool:
        """Return False."""
        return False
