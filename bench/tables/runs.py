"""Run every mover that takes part in a job, in turns, and keep what came of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench.tables.delivered import clear, delivered
from bench.tables.jobs import Command, Job, NotRunError
from bench.tables.measure import Measured, measured
from bench.tables.movers import MOVERS, Mover
from bench.tables.plans import Plan

__all__ = ["Contender", "NotRun", "contenders", "in_turns"]


@dataclass(frozen=True)
class NotRun:
    """A mover that does not take part, and why."""

    mover: str
    why: str


@dataclass
class Contender:
    """A mover at a job.

    Attributes:
        mover: who.
        job: what.
        command: how.
        rounds: how often at most.
        enough_seconds: after how long in all not again.
        patience_seconds: after how long one run is killed.
        runs: what was measured.
        failed: why it does not count; ``""`` if it does.
    """

    mover: Mover
    job: Job
    command: Command
    rounds: int
    enough_seconds: float
    patience_seconds: float
    runs: list[Measured] = field(default_factory=list)
    failed: str = ""

    def wants_another(self) -> bool:
        """Return whether it is to run again."""
        taken = sum(run.seconds for run in self.runs)
        return not self.failed and len(self.runs) < self.rounds and taken <= self.enough_seconds

    def run(self) -> None:
        """Run once, and count what was delivered. A failure is noted, never raised: the others are still to be measured."""
        clear(self.job)
        output = Path(self.job.target) if self.command.to_stdout else None
        environment = {**self.job.environment, **self.command.environment}
        log = Path(f"{self.job.scratch}/log")
        try:
            run = measured(self.command.arguments, environment, output, log, self.patience_seconds)
            self.failed = self._problem(run)
        except Exception as exc:  # noqa: BLE001 - whatever a mover left that cannot be counted is its failure
            self.failed = f"{type(exc).__name__}: {exc}"
        else:
            self.runs.append(run)

    def _problem(self, run: Measured) -> str:
        if run.code:
            return run.said or f"exit code {run.code}, without a word"
        found = delivered(self.job)
        return "" if found == self.job.rows else f"it delivered {found:,} rows of {self.job.rows:,}"

    def result(self) -> dict[str, Any]:
        """Return the figures, ready for JSON."""
        told: dict[str, Any] = {
            "mover": self.mover.name,
            "reference": self.mover.reference,
            "source": self.job.place.kind,
            "facts": self.job.place.facts,
            "format": self.job.format,
            "sink": self.job.sink,
            "rows": self.job.rows,
            "failed": self.failed,
            "runs": [asdict(run) for run in self.runs],
        }
        if self.runs and not self.failed:
            told["rows_per_second"] = self.job.rows / median(run.seconds for run in self.runs)
            told["peak_bytes"] = max(run.peak_bytes for run in self.runs)
            told["cpu_seconds"] = median(run.cpu_seconds for run in self.runs)
        return told


def contenders(jobs: dict[str, Job], plan: Plan, absent: set[NotRun]) -> Iterator[Contender]:
    """Give who takes part.

    Args:
        jobs: the job, for each pace of a mover.
        plan: who was asked for, and how often.
        absent: who does not take part is added here.
    """
    for mover in MOVERS:
        job = jobs[mover.pace]
        if not plan.takes_part(mover):
            continue
        try:
            command = mover.command(job)
        except NotRunError as exc:
            absent.add(NotRun(mover.name, str(exc)))
            continue
        if command is not None:
            rounds, enough = plan.rounds_of(mover, job.sink), plan.enough_for(mover)
            yield Contender(mover, job, command, rounds, enough, plan.patience_seconds)


def in_turns(given: list[Contender]) -> list[dict[str, Any]]:
    """Run them A B C, then C B A, and so on, until none wants another turn; return what came of it."""
    order = list(given)
    while waiting := [each for each in order if each.wants_another()]:
        for contender in waiting:
            contender.run()
        order.reverse()
    for contender in given:
        clear(contender.job)
        _tell(contender.result())
    return [contender.result() for contender in given]


def _tell(result: dict[str, Any]) -> None:
    what = f"{result['source']} -> {result['format']} on {result['sink']}, {result['mover']}, {result['rows']:,} rows"
    if result["failed"]:
        print(f"{what}: FAILED: {result['failed']}", file=sys.stderr)
    else:
        rate, peak = result["rows_per_second"] / 1000, result["peak_bytes"] / 1e6
        print(f"{what}: {rate:.0f}k rows/s, {peak:.0f} MB, {result['cpu_seconds']:.1f} s CPU", file=sys.stderr)
