"""What a run tells: while it runs (`Snapshot`) and when it has ended (`Outcome`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from penstock.engines.stages import StageStatus
from penstock.engines.waiting import verdict
from penstock.flow.contracts import Receipt

__all__ = ["Observer", "Outcome", "Snapshot"]


@dataclass(frozen=True)
class Snapshot:
    """A copy at one moment.

    Attributes:
        elapsed_seconds: since the copy began.
        rows: rows that have passed; None when they are not counted.
        bytes: bytes the sink has taken, after compression.
        resident_bytes: memory of this process now; None where the system does not tell.
        stages: every stage, source first.
    """

    elapsed_seconds: float
    rows: int | None
    bytes: int
    resident_bytes: int | None
    stages: tuple[StageStatus, ...]

    @property
    def verdict(self) -> str:
        """Who has waited on whom so far."""
        return verdict(self.stages)


Observer = Callable[[Snapshot], None]
"""Shown a snapshot every now and then, in the thread that runs the copy; must not block for long."""


@dataclass(frozen=True)
class Outcome:
    """A copy that has ended well.

    Attributes:
        receipt: what the sink published; None when the destination was there and was to be skipped.
        rows: rows copied; None when bytes passed through uncounted.
        bytes_before_compression: size of the encoded data.
        seconds: how long it took, opening and publishing included.
        peak_resident_bytes: most memory this process ever had; None where the system does not tell.
        stages: how each stage spent its time.
        connections_opened: connections made to systems outside; None when source and sink do not tell.
        leaks: what the copy left behind: threads that have not ended, pipes not closed. Always empty, or there is
            a bug worth reporting.
    """

    receipt: Receipt | None
    rows: int | None = None
    bytes_before_compression: int = 0
    seconds: float = 0.0
    peak_resident_bytes: int | None = None
    stages: tuple[StageStatus, ...] = ()
    connections_opened: int | None = None
    leaks: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """Who waited on whom."""
        return verdict(self.stages)
