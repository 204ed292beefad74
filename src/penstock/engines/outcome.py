"""What a run reports: a `Snapshot` while it runs, and an `Outcome` when it has succeeded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from penstock.engines.stages import StageStatus
from penstock.engines.waiting import verdict
from penstock.flow.contracts import Receipt

__all__ = ["Observer", "Outcome", "Snapshot"]


@dataclass(frozen=True)
class Snapshot:
    """A running copy at one moment. Functions given as ``progress=`` are called with these.

    Attributes:
        elapsed_seconds: seconds since the copy began.
        rows: rows that have passed so far; None if they are not counted.
        bytes: bytes that the sink has taken so far, after compression.
        resident_bytes: memory of this process now; None where the system does not tell.
        stages: the state of every stage, source first.
    """

    elapsed_seconds: float
    rows: int | None
    bytes: int
    resident_bytes: int | None
    stages: tuple[StageStatus, ...]

    @property
    def verdict(self) -> str:
        """Who has waited on whom so far, in one sentence."""
        return verdict(self.stages)


Observer = Callable[[Snapshot], None]
"""A function called with snapshots, in the thread that called ``copy``; it must not block for long."""


@dataclass(frozen=True)
class Outcome:
    """A copy that has succeeded. :class:`penstock.Report` is made from it.

    Attributes:
        receipt: what the sink published; None if the destination existed and the copy was skipped.
        rows: rows copied; None if bytes passed through uncounted.
        bytes_before_compression: size of the encoded data in bytes.
        seconds: duration, opening and publishing included.
        peak_resident_bytes: peak memory of this process since it started; None where the system does not tell.
        stages: how each stage spent its time, source first.
        connections_opened: connections made to other systems; None if neither source nor sink counts them.
        leaks: what the copy left behind, such as threads that have not ended or pipes not closed. Always empty;
            anything else is a bug worth reporting.
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
        """Who waited on whom, in one sentence."""
        return verdict(self.stages)
