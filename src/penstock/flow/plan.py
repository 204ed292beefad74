"""The plan of a copy: everything that can be decided before anything is opened. Pure: no I/O, no threads.

`make_plan` compares what the source can hand out with what the sink is to receive, and returns an immutable `Plan`.
An engine runs it; `print(plan)` shows it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from penstock.errors import ConfigurationError
from penstock.flow.contracts import Format, Sink, Source, TableSink
from penstock.flow.losses import Losses
from penstock.flow.memory import MemorySplit
from penstock.flow.partitions import PartitionsSink
from penstock.flow.parts import PartsSink
from penstock.flow.units import format_bytes, format_seconds

__all__ = ["AnySink", "Plan", "make_plan"]

AnySink = Sink | TableSink | PartsSink | PartitionsSink


@dataclass(frozen=True)
class Plan:
    """One copy, fully decided.

    Attributes:
        source: where the data comes from; can be read once.
        sink: where the data goes; publishes once.
        format_name: the format of the bytes the sink receives, before compression; ``""`` if it takes batches.
        encoder: turns Arrow batches into those bytes; None if the source hands them out itself, or the sink takes rows.
        compression: ``"gzip"``, ``"zstd"`` or None, perhaps with a level: ``"zstd:9"``.
        memory: how ``max_memory`` is divided; with several partitions, the share of each.
        timeout: seconds for the whole copy; None for no limit.
        stall_timeout: seconds without a byte moving between stages; None for no limit.
        bwlimit: bytes per second that the sink may take; None for no limit.
        if_exists: what the sink does if the destination exists; ``""`` if only the sink knows.
        losses: counts the values that the type of their column could not hold.
        partitions: into how many ranges, at most, the source is divided; they are read at once.
        partition_by: the column whose values divide the ranges; None lets the source choose.
        engine: the name of the engine that runs the plan.
    """

    source: Source
    sink: AnySink
    format_name: str
    encoder: Format | None
    compression: str | None
    memory: MemorySplit
    timeout: float | None = None
    stall_timeout: float | None = None
    bwlimit: float | None = None
    if_exists: str = ""
    losses: Losses = field(default_factory=Losses)
    partitions: int = 1
    partition_by: str | None = None
    engine: str = "local"

    @property
    def passes_through(self) -> bool:
        """Whether the source's bytes go to the sink without being parsed."""
        return self.encoder is None and bool(self.format_name)

    @property
    def stages(self) -> tuple[str, ...]:
        """The names of the stages, in the order of the data; each runs in a thread of its own."""
        encoder = () if self.encoder is None else ("encoder",)
        compressor = () if self.compression is None else ("compressor",)
        return ("source", *encoder, *compressor, "sink")

    def __str__(self) -> str:
        lines = {
            "from": self.source.display_name,
            "to": self.sink.display_name,
            "path": self.path,
            "memory": self.memory_share,
            "time": self.time_limits,
            **({} if self.bwlimit is None else {"rate": f"at most {format_bytes(self.bwlimit)}/s"}),
        }
        return "\n".join(f"{label + ':':<8}{text}" for label, text in lines.items())

    @property
    def time_limits(self) -> str:
        """The time limits, in words."""
        whole = "no limit" if self.timeout is None else f"at most {format_seconds(self.timeout)}"
        if self.stall_timeout is None:
            return f"{whole}, waits for ever"
        return f"{whole}, fails after {format_seconds(self.stall_timeout)} without a byte"

    @property
    def memory_share(self) -> str:
        """How ``max_memory`` is divided, in words."""
        return str(self.memory) if self.partitions == 1 else f"for each of {self.partitions} partitions {self.memory}"

    @property
    def buffers(self) -> str:
        """The buffers between the stages, in words."""
        pipe, batch = (
            f"a pipe of {format_bytes(self.memory.pipe_bytes)}",
            f"batches of {format_bytes(self.memory.batch_bytes)}",
        )
        between = [pipe] * (len(self.stages) - 1)
        if not self.passes_through:
            between[0] = f"{batch}, two may wait"
        return "; ".join(
            f"{before} to {after}: {how}"
            for before, after, how in zip(self.stages, self.stages[1:], between, strict=False)
        )

    @property
    def path(self) -> str:
        """The stages, and the form of the data in each, in words."""
        if isinstance(self.sink, TableSink):
            return "source (Arrow batches) -> sink (a table)"
        how = f"{self.format_name} bytes, untouched" if self.passes_through else "Arrow batches"
        steps = [f"source ({how})"]
        if self.encoder is not None:
            steps.append(f"encoder ({self.format_name})")
        if self.compression is not None:
            steps.append(f"compressor ({self.compression})")
        sink = (
            f"sink (files of {format_bytes(self.sink.max_part_bytes)})" if isinstance(self.sink, PartsSink) else "sink"
        )
        path = " -> ".join([*steps, sink])
        return path if self.partitions == 1 else f"up to {self.partitions} at once: {path} (a file each)"


def make_plan(
    source: Source,
    sink: AnySink,
    *,
    target_format: Format | None,
    compression: str | None,
    memory: MemorySplit,
    losses: Losses | None = None,
    partitions: int = 1,
    partition_by: str | None = None,
    engine: str = "local",
    timeout: float | None = None,
    stall_timeout: float | None = None,
    bwlimit: float | None = None,
    if_exists: str = "",
) -> Plan:
    """Decide how the data gets from ``source`` to ``sink`` in ``target_format``.

    Bytes pass untouched if the source can hand them out in that format. Otherwise, and always for several files, which
    must be cut between rows, the source gives Arrow batches and the format encodes them.

    Raises:
        ConfigurationError: a limit is not above zero.
    """
    _check_limits(timeout, stall_timeout)
    format_name = "" if target_format is None else target_format.name
    passes_through = (
        target_format is not None and not isinstance(sink, PartsSink) and target_format.dialect in source.byte_formats
    )
    return Plan(
        source=source,
        sink=sink,
        format_name=format_name,
        encoder=None if passes_through or target_format is None else target_format.sized(memory.batch_bytes),
        compression=compression,
        memory=memory,
        timeout=timeout,
        stall_timeout=stall_timeout,
        bwlimit=bwlimit,
        if_exists=if_exists,
        losses=losses or Losses(),
        partitions=partitions,
        partition_by=partition_by,
        engine=engine,
    )


def _check_limits(timeout: float | None, stall_timeout: float | None) -> None:
    for name, seconds in (("timeout", timeout), ("stall_timeout", stall_timeout)):
        if seconds is not None and not seconds > 0:
            raise ConfigurationError(f"{name} must be above zero seconds, not {seconds!r}")
