"""Choose how large each part of an upload is, so that an object of unknown length does not run out of part numbers. Pure.

Stores number the parts of an upload from 1 to a limit, and require the size of a part before it is sent. S3 allows 10,000
parts; with 8 MiB each, a usual choice, an object can have 78 GiB at most. Here parts grow instead:

1. The first 1,000 parts have the size asked for: small objects start soon and cost little to send again.
2. Then each has a thousandth of what was sent before, up to half of the memory that parts may take: one on its way
   and one being filled.
3. From part 6,000 on, memory or not, each has a five-hundredth of what was sent before, up to the store's largest. A
   part that memory has no room for waits in an unnamed temporary file, one being filled while one is on its way.

With ``max_memory`` of 128 MiB (room for five parts of 16 MiB, the first of 8) memory alone lasts to about 170 GiB; for 5 TiB,
long S3's largest object, two temporary files grow to 5 GiB each; the end comes at 15 TiB.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["PartPlan", "StoreLimits"]

_MIB = 1 << 20
_SAME_SIZE_PARTS = 1000
_PARTS_BOUND_BY_MEMORY = 6000
_SLOW_GROWTH = 1000
_FAST_GROWTH = 500


@dataclass(frozen=True)
class StoreLimits:
    """What a kind of store allows in one upload.

    Attributes:
        parts: how many parts an upload may have.
        smallest_part_bytes: the smallest size of every part but the last.
        largest_part_bytes: the largest size of a part.
        grows: whether the parts of one upload may differ in size (through the client library in use).
    """

    parts: int
    smallest_part_bytes: int
    largest_part_bytes: int
    grows: bool


@dataclass(frozen=True)
class PartPlan:
    """The sizes of the parts of one upload.

    Attributes:
        part_bytes: the size of the first parts.
        memory_bytes: how much memory all parts in flight may take, including the one being filled.
        limits: what the store allows.
    """

    part_bytes: int
    memory_bytes: int
    limits: StoreLimits

    @property
    def largest_in_memory(self) -> int:
        """The size in bytes of the largest part that is kept in memory: two such parts fit."""
        return max(self.part_bytes, self.memory_bytes // 2)

    def size_of(self, number: int, sent_bytes: int) -> int | None:
        """Return the size of part ``number`` (from 1) if ``sent_bytes`` precede it; None if there can be no more parts."""
        if number > self.limits.parts:
            return None
        size = self.part_bytes
        if self.limits.grows and number > _SAME_SIZE_PARTS:
            size = max(size, min(_rounded(sent_bytes // _SLOW_GROWTH), self.largest_in_memory))
            if number > _PARTS_BOUND_BY_MEMORY:
                size = max(size, _rounded(sent_bytes // _FAST_GROWTH))
        return min(size, self.limits.largest_part_bytes)

    def sizes(self) -> Iterator[int]:
        """Yield the size of every part there can be, first to last."""
        sent = 0
        for number in range(1, self.limits.parts + 1):
            size = self.size_of(number, sent)
            assert size is not None
            yield size
            sent += size

    def parts_for(self, total_bytes: int) -> int | None:
        """Return how many parts an object of ``total_bytes`` takes, at least one; None if it is too large."""
        count = 0
        for count, size in enumerate(self.sizes(), start=1):
            total_bytes -= size
            if total_bytes <= 0:
                return count
        return None

    @property
    def largest_object_bytes(self) -> int:
        """Return the size in bytes of the largest object that this plan allows."""
        return sum(self.sizes())


def _rounded(size: int) -> int:
    """Round up to whole MiB, so that parts are made of whole pieces."""
    return -(-size // _MIB) * _MIB
