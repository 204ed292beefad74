"""The memory of the parts of one upload, used again and again."""

from __future__ import annotations

from typing import final

from penstock.connectors.objects._part_body import MemoryBody, PartBody

__all__ = ["PartRooms"]


@final
class PartRooms:
    """As many rooms as there ever were parts in memory at once; what is free is used before there is another."""

    def __init__(self) -> None:
        self._free: list[MemoryBody] = []

    def take(self, size: int) -> MemoryBody:
        """Return an empty body for ``size`` bytes. One thread at a time."""
        while self._free:
            body = self._free.pop()
            if body.room_bytes == size:
                body.empty()
                return body
            body.close()  # parts have grown
        return MemoryBody(size)

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
