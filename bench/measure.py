"""Run a row: every contender once per round, so that a drift of the machine hits all of them alike."""

from __future__ import annotations

import gc
import statistics
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.registry import Bar, Contender, Row


@dataclass(slots=True)
class Outcome:
    """What one contender did: a figure per round, or why there is none."""

    contender: Contender
    figures: list[float] = field(default_factory=list)
    unavailable: str | None = None
    error: str | None = None
    traceback: str | None = None

    @property
    def runs(self) -> bool:
        """Whether this contender can take part in the next round."""
        return self.unavailable is None and self.error is None

    @property
    def median(self) -> float | None:
        """The middle figure; None when the contender did not run to the end."""
        return statistics.median(self.figures) if self.runs and self.figures else None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A bar, and what was measured for it: one value per round. No values: it could not be measured."""

    bar: Bar
    values: tuple[float, ...]

    @property
    def median(self) -> float | None:
        """The middle of the rounds' figures or ratios."""
        return statistics.median(self.values) if self.values else None

    @property
    def word(self) -> str:
        """``ok``, ``MISS``, or ``not measured``."""
        if self.median is None:
            return "not measured"
        return "ok" if self.bar.holds(self.median) else "MISS"


@dataclass(frozen=True, slots=True)
class Measured:
    """A row with all that was found."""

    row: Row
    count: int
    outcomes: dict[str, Outcome]

    @property
    def verdicts(self) -> list[Verdict]:
        """One per bar of the row. Ratios are taken inside each round, between neighbours in time."""
        return [Verdict(bar, self._values(bar)) for bar in self.row.bars]

    def _values(self, bar: Bar) -> tuple[float, ...]:
        subject = self.outcomes[bar.subject]
        if not subject.runs or bar.against is None:
            return tuple(subject.figures) if subject.runs else ()
        against = self.outcomes[bar.against]
        return tuple(map(_ratio, subject.figures, against.figures)) if against.runs else ()


def _ratio(a: float, b: float) -> float:
    return a / b


def measure(row: Row, *, rounds: int, quick: bool, tell: Callable[[str], None] = lambda _: None) -> Measured:
    """Warm every contender up, then run ``rounds`` rounds, every other one in reverse order (A B, B A, ...)."""
    count = row.quick_count if quick else row.count
    outcomes = {contender.name: Outcome(contender, unavailable=contender.unavailable()) for contender in row.contenders}
    for outcome in outcomes.values():
        _sample(row, outcome, max(1, count // 20))
        outcome.figures.clear()
    for number in range(rounds):
        tell(f"{row.name}: round {number + 1} of {rounds}")
        for outcome in list(outcomes.values())[:: 1 if number % 2 == 0 else -1]:
            _sample(row, outcome, count)
    return Measured(row, count, outcomes)


def _sample(row: Row, outcome: Outcome, count: int) -> None:
    """Add one figure. A contender that fails is out of the race and says why; the others go on."""
    if not outcome.runs:
        return
    gc.collect()  # the same heap for everyone; the collector stays enabled, as it is where people use these things
    try:
        outcome.figures.append(row.unit.figure(outcome.contender.run(count), count))
    except Exception as error:  # noqa: BLE001 - whatever went wrong is this contender's result, shown in its line
        outcome.error = f"{type(error).__name__}: {error}"
        outcome.traceback = "".join(traceback.format_exception(error))
