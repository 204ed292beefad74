"""The memory of the parts of one upload, used again and again."""

from __future__ import annotations

from typing import final

from penstock.connectors.objects._part_body import MemoryBody, PartBody

__all__ = ["PartRooms"]


@final
class PartRooms:
    """Rooms for parts, each with memory of its own. The first parts have new ones, all others those that are free.

    So an upload has after some parts all the memory that it will ever have. If a free room went before a new one, how many there
    are would depend on how many parts the store has let wait at some time: the longer an upload, the more.

    Args:
        most: how many parts there may be at once.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._made = 0
        self._free: list[MemoryBody] = []

    def take(self, size: int) -> MemoryBody:
        """Return an empty body for ``size`` bytes. One thread at a time."""
        self._close_all_but(size)
        if self._free and self._made >= self._most:
            body = self._free.pop()
            body.empty()
            return body
        self._made += 1
        return MemoryBody(size)

    def _close_all_but(self, size: int) -> None:
        """Give the memory of free rooms back that have another size: parts have grown."""
        for body in [body for body in self._free if body.room_bytes != size]:
            self._free.remove(body)
            self._made -= 1
            body.close()

    def give_back(self, body: PartBody) -> None:
        """Have the room of a part that was sent, or has failed, used again. Any thread."""
        if isinstance(body, MemoryBody):
            self._free.append(body)
        else:
            body.close()

    def close(self) -> None:
        """Give the memory back that no part is in."""
        while self._free:
            self._free.pop().close()
