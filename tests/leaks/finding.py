"""Ask one finder, or several, what was left: the check without its patience, its rules and the other finders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penstock.leaks import snapshot
from penstock.leaks._report.model import Leak
from penstock.leaks._straggler import Finder, Straggler

__all__ = ["Look"]


class Look:
    """What ``finders`` find that is there and was not when this was made. While it is held, starts are noted."""

    def __init__(self, *finders: Finder) -> None:
        self._finders = finders
        self._watching = snapshot()
        self._baselines: list[Any] = [finder.baseline() for finder in finders]

    def stragglers(self) -> list[Straggler]:
        """What is left at this moment, whether it is in order or not."""
        pairs = zip(self._finders, self._baselines, strict=True)
        return [straggler for finder, baseline in pairs for straggler in finder.stragglers(baseline)]

    def leaks(self, reported: Sequence[Leak] = ()) -> list[Leak]:
        """What is left and not in order. ``reported``: leaks of other kinds that are reported as well."""
        left = [straggler for straggler in self.stragglers() if straggler.serves() is None]
        leaks = [straggler.leak(0.0) for straggler in left]
        return [
            leak
            for straggler, leak in zip(left, leaks, strict=True)
            if not straggler.covered_by([*reported, *(other for other in leaks if other is not leak)])
        ]

    def leak(self) -> Leak:
        """The one leak there must be."""
        (leak,) = self.leaks()
        return leak

    def names(self) -> list[str]:
        """The names of what is left and not in order."""
        return sorted(leak.name for leak in self.leaks())
