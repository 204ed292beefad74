"""Memory for the parts of one upload, allocated once and reused."""

from __future__ import annotations

import threading
from collections import deque
from typing import final

from penstock.connectors.objects._part_body import MemoryBody, PartBody

__all__ = ["PartRooms"]


@final
class PartRooms:
    """Memory for as many parts as may exist at once, all of it allocated at the start.

    So an upload takes as much memory after a second as after an hour, and no more when the store is slow.

    Args:
        most: how many parts are in memory at once.
        limit_bytes: how much memory all of them may take. Callers of :meth:`take` make sure to stay within both limits.
        first: a part that was filled before. It counts as one, and the others are made like it.
    """

    def __init__(self, most: int, limit_bytes: int, first: MemoryBody) -> None:
        self._most = most
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._size = first.room_bytes
        self._made, self._made_bytes = 1, self._size
        self._free: deque[MemoryBody] = deque()
        while self._has_room_for(self._size):
            self._free.append(self._new(self._size))
            self._free[-1].touch()

    def take(self, size: int) -> MemoryBody:
        """Return an empty body for ``size`` bytes. One thread at a time."""
        with self._lock:
            if size != self._size:  # parts have grown; those still on their way go when they are given back
                self._size = size
                self._close_free()
            if self._has_room_for(size):
                return self._new(size)
            body = self._free.popleft()
        body.empty()
        return body

    def give_back(self, body: PartBody) -> None:
        """Return the memory of a part that was sent, or has failed, for reuse. May be called from any thread."""
        if not isinstance(body, MemoryBody):
            body.close()
            return
        with self._lock:
            if body.room_bytes == self._size:
                self._free.append(body)
            else:
                self._close(body)

    def close(self) -> None:
        """Release the memory that no part is using."""
        with self._lock:
            self._close_free()

    def _has_room_for(self, size: int) -> bool:
        return self._made < self._most and self._made_bytes + size <= self._limit_bytes

    def _new(self, size: int) -> MemoryBody:
        self._made += 1
        self._made_bytes += size
        return MemoryBody(size)

    def _close_free(self) -> None:
        while self._free:
            self._close(self._free.popleft())

    def _close(self, body: MemoryBody) -> None:
        self._made -= 1
        self._made_bytes -= body.room_bytes
        body.close()
