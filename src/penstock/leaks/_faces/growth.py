"""Decide whether a count keeps growing, as opposed to going up and down, or up once. Pure; used by ``watch()``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

__all__ = ["Growth", "keeps_growing"]

_SHORTEST_PERIOD = 2


def keeps_growing(counts: Sequence[int], *, periods: int, growth: int) -> bool:
    """Whether ``counts`` rise steadily, fast or slowly, to more than they ever were.

    The latest counts are cut into ``periods`` + 1 periods of 2 counts each, or of 4, of 8 and so on. The counts keep
    growing if for one of these lengths three things hold: the least count of every period is above that of the period
    before it; that of the last period is at least ``growth`` above that of the first; and it is above every count up to
    the end of the first.

    The last condition tells growth from load that comes and goes. With one count a minute, noise around a mean rises
    for five periods by chance several times a week, but not above everything before.
    """
    length = _SHORTEST_PERIOD
    while length * (periods + 1) <= len(counts):
        start = len(counts) - length * (periods + 1)
        least = [min(counts[i : i + length]) for i in range(start, len(counts), length)]
        rises = least[-1] - least[0] >= growth and all(before < after for before, after in pairwise(least))
        if rises and least[-1] > max(counts[: start + length]):
            return True
        length *= 2
    return False


class Growth:
    """Decides for which kinds to warn, without repeating itself.

    After a warning for a kind there is no other until its count has doubled, or has fallen to half and grown again.

    Args:
        periods: how many periods in a row must have risen.
        growth: by how much the count must have risen in all.
    """

    def __init__(self, *, periods: int, growth: int) -> None:
        self._periods = periods
        self._growth = growth
        self._named_at: dict[str, int] = {}

    def growing(self, kind: str, counts: Iterable[int]) -> bool:
        """Whether to warn about ``kind``, given its ``counts`` so far, oldest first."""
        history = list(counts)
        latest = history[-1]
        named_at = self._named_at.get(kind)
        if named_at is not None and named_at / 2 < latest < named_at * 2:
            return False
        self._named_at.pop(kind, None)
        if not keeps_growing(history, periods=self._periods, growth=self._growth):
            return False
        self._named_at[kind] = latest
        return True
