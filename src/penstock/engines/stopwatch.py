"""``Stopwatch``: add up the time spent in a block that is run again and again."""

from __future__ import annotations

from time import monotonic
from typing import final

__all__ = ["Stopwatch"]


@final
class Stopwatch:
    """Adds up how long its ``with`` blocks take; readable from other threads while one runs."""

    def __init__(self) -> None:
        self._total = 0.0
        self._since: float | None = None

    @property
    def running(self) -> bool:
        """Whether a block runs now."""
        return self._since is not None

    @property
    def seconds(self) -> float:
        """The seconds that all blocks took so far, including the running one."""
        since = self._since
        return self._total if since is None else self._total + monotonic() - since

    def __enter__(self) -> None:
        self._since = monotonic()

    def __exit__(self, *_: object) -> None:
        since, self._since = self._since, None
        if since is not None:
            self._total += monotonic() - since
