"""The report of a finished copy: rows, bytes, seconds, peak memory, who waited on whom, what was left behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, final

from penstock.engines.outcome import Outcome
from penstock.engines.stages import StageStatus
from penstock.flow.losses import Loss
from penstock.flow.plan import Plan
from penstock.flow.units import format_bytes, format_count, format_seconds

__all__ = ["Report"]


@final
@dataclass(frozen=True)
class Report:
    """The result of :func:`penstock.copy`. ``str(report)`` is a one-line summary.

    Attributes:
        source: where the data came from, without secrets.
        location: where the data can be found now, without secrets; ``""`` if nowhere (standard output).
        skipped: True if the destination existed and ``if_exists="skip"``; nothing was read or written then.
        format: the format that was written, such as ``"csv"``; ``""`` for a table.
        compression: ``"gzip"``, ``"zstd"`` or None; with its level, if one was asked for: ``"zstd:9"``.
        rows: rows copied; None if bytes passed through uncounted.
        bytes: bytes stored at the destination, after compression; for a table, bytes of Arrow data loaded.
        bytes_before_compression: bytes before compression.
        seconds: duration of the copy, opening and publishing included.
        peak_memory_bytes: peak memory of this process since it started; None where the system does not tell.
        stages: how each stage spent its time, source first.
        verdict: who waited on whom, in one sentence.
        connections_opened: connections made to other systems; None if neither source nor destination counts them.
        losses: columns with values that became NULL because their type could not hold them (``on_type_loss="warn"``).
        leaks: threads, sockets, cursors, pipes and so on that the copy left behind, as found by :mod:`penstock.leaks`.
            Always empty; anything else is a bug worth reporting.
        details: further facts from the sink, such as the number of parts or an HTTP status.
    """

    source: str
    location: str
    skipped: bool = False
    format: str = ""
    compression: str | None = None
    rows: int | None = None
    bytes: int = 0
    bytes_before_compression: int = 0
    seconds: float = 0.0
    peak_memory_bytes: int | None = None
    stages: tuple[StageStatus, ...] = ()
    verdict: str = ""
    connections_opened: int | None = None
    losses: tuple[Loss, ...] = ()
    leaks: tuple[str, ...] = ()
    details: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def of(cls, plan: Plan, outcome: Outcome) -> Report:
        """Make the report of ``plan`` from how running it turned out."""
        receipt = outcome.receipt
        if receipt is None:
            return cls(source=plan.source.display_name, location=plan.sink.display_name, skipped=True)
        return cls(
            source=plan.source.display_name,
            location=receipt.location,
            format=plan.format_name,
            compression=plan.compression,
            rows=outcome.rows,
            bytes=receipt.bytes_stored,
            bytes_before_compression=outcome.bytes_before_compression,
            seconds=outcome.seconds,
            peak_memory_bytes=outcome.peak_resident_bytes,
            stages=outcome.stages,
            verdict=outcome.verdict,
            connections_opened=outcome.connections_opened,
            losses=plan.losses.told(),
            leaks=outcome.leaks,
            details=receipt.details,
        )

    def __str__(self) -> str:
        if self.skipped:
            return f"skipped: {self.location} exists already"
        facts = [
            "" if self.rows is None else f"{format_count(self.rows)} rows",
            format_bytes(self.bytes),
            f"in {format_seconds(self.seconds)} ({self._rate()})",
            "" if self.peak_memory_bytes is None else f"peak memory {format_bytes(self.peak_memory_bytes)}",
            self.verdict,
            *map(str, self.losses),
            "nothing left behind" if not self.leaks else f"LEFT BEHIND: {'; '.join(self.leaks)}",
        ]
        return ", ".join(fact for fact in facts if fact) + (f" -> {self.location}" if self.location else "")

    def _rate(self) -> str:
        seconds = max(self.seconds, 1e-9)
        if self.rows is None:
            return f"{format_bytes(self.bytes_before_compression / seconds)}/s"
        return f"{format_count(self.rows / seconds)} rows/s"

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, ready for ``json.dumps``."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        plain["stages"] = [{**asdict(stage), "busy_seconds": stage.busy_seconds} for stage in self.stages]
        plain["losses"] = [asdict(loss) for loss in self.losses]
        plain["leaks"] = list(self.leaks)
        plain["details"] = dict(self.details)
        return plain
