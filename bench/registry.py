"""What a row of the benchmark is: contenders that do the same work, a unit, and the bars between them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from typing import Literal

Run = Callable[[int], float]
"""Does the work ``count`` times over, checks that all of it arrived, and returns the seconds it took."""


@dataclass(frozen=True, slots=True)
class Unit:
    """How a figure is made of seconds and a count, and which direction is better."""

    label: str
    figure: Callable[[float, int], float]
    higher_is_better: bool = False


def gigabytes_per_second(chunk_bytes: int) -> Unit:
    """Throughput of chunks of this size; 1 GB is 10**9 bytes."""
    return Unit("GB/s", lambda seconds, count: chunk_bytes * count / seconds / 1e9, higher_is_better=True)


MICROSECONDS_EACH = Unit("us each", lambda seconds, count: seconds / count * 1e6)
MILLISECONDS_EACH = Unit("ms", lambda seconds, count: seconds / count * 1e3)
SECONDS_IN_ALL = Unit("s", lambda seconds, _count: seconds)


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to do the work of a row.

    ``unavailable`` says why it cannot run here (for a package: the pip command), or None when it can.
    """

    name: str
    run: Run
    unavailable: Callable[[], str | None] = lambda: None


def needs(package: str) -> Callable[[], str | None]:
    """For ``Contender.unavailable``: the contender needs this package from PyPI."""
    return lambda: None if importlib.util.find_spec(package) else f"pip install {package}"


@dataclass(frozen=True, slots=True)
class Bar:
    """A promise: the subject's figure, or its ratio to that of ``against``, is at least or at most ``limit``."""

    subject: str
    sense: Literal[">=", "<="]
    limit: float
    against: str | None = None

    def holds(self, value: float) -> bool:
        """Whether a measured figure or ratio keeps the promise."""
        return value >= self.limit if self.sense == ">=" else value <= self.limit

    def __str__(self) -> str:
        return f"{self.subject} / {self.against}" if self.against else self.subject


@dataclass(frozen=True, slots=True)
class Row:
    """Contenders measured against each other in one run, each repeating the same work ``count`` times a sample."""

    name: str
    title: str
    unit: Unit
    count: int
    quick_count: int
    contenders: tuple[Contender, ...]
    bars: tuple[Bar, ...] = ()

    def __post_init__(self) -> None:
        names = [contender.name for contender in self.contenders]
        strangers = {name for bar in self.bars for name in (bar.subject, bar.against) if name} - set(names)
        if strangers or len(set(names)) != len(names):
            raise ValueError(
                f"row {self.name!r}: contenders must be unique and bars must name them; unknown: {strangers}"
            )


def repeated(once: Callable[[], float]) -> Run:
    """For work that times itself: the sum of ``count`` times."""
    return lambda count: sum(once() for _ in range(count))


def choose(rows: tuple[Row, ...], patterns: list[str]) -> list[Row]:
    """The rows whose name contains or matches (``*``) one of the patterns; all of them without patterns."""
    if not patterns:
        return list(rows)
    return [row for row in rows if any(pattern in row.name or fnmatch(row.name, pattern) for pattern in patterns)]


def only_bars(rows: list[Row]) -> list[Row]:
    """The rows that have bars, without the contenders no bar speaks of: the short way round while tuning."""
    return [replace(row, contenders=_needed_for_bars(row)) for row in rows if row.bars]


def _needed_for_bars(row: Row) -> tuple[Contender, ...]:
    named = {name for bar in row.bars for name in (bar.subject, bar.against)}
    return tuple(contender for contender in row.contenders if contender.name in named)
