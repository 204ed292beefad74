"""What a check finds: leaks, and the report that holds them. Plain data: nothing in here keeps what leaked alive."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Kind", "Leak", "LeakReport"]

Kind = Literal[
    "thread", "task", "process", "pool", "channel", "pipe", "generator", "cursor", "response", "socket", "fd"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """One thing that outlived the scope it was made in.

    Places are text, ``file:line in function``. Fields that could not be found out are None or empty.

    Attributes:
        kind: what it is.
        name: what its owner calls it: the name of a thread or task, the command of a process, the path of a file.
        fix: the likely remedy, in one sentence.
        proven: True when it has been proven that nothing in this process can ever wake it; otherwise it is suspected.
        verdict: why it is proven, or what stands in the way of a proof.
        started_at: where it was started or made.
        start_stack: the calls that led there, outermost first; known while ``trace_starts()`` is on.
        blocked_on: the operation it waits in and the object it waits on.
        created_at: where that object was made.
        holders: who holds that object, or its other ends.
        open_ends: how many other ends of that object are open, of pipes and channels.
        stack: where it is now, outermost call first.
        waited_seconds: for how long at least it has been there.
        scope: the test, or other owner, that it was started under (see ``penstock.pytest_plugin``).
        identity: tells this leak from others of its kind, for as long as it lives; not part of comparisons.
    """

    kind: Kind
    name: str
    fix: str
    proven: bool = False
    verdict: str = ""
    started_at: str | None = None
    start_stack: tuple[str, ...] = ()
    blocked_on: str | None = None
    created_at: str | None = None
    holders: tuple[str, ...] = ()
    open_ends: int | None = None
    stack: tuple[str, ...] = ()
    waited_seconds: float | None = None
    scope: str | None = None
    identity: Hashable = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a dict that JSON can hold."""
        return {
            "kind": self.kind,
            "name": self.name,
            "proven": self.proven,
            "verdict": self.verdict,
            "fix": self.fix,
            "started_at": self.started_at,
            "start_stack": list(self.start_stack),
            "blocked_on": self.blocked_on,
            "created_at": self.created_at,
            "holders": list(self.holders),
            "open_ends": self.open_ends,
            "stack": list(self.stack),
            "waited_seconds": self.waited_seconds,
            "scope": self.scope,
        }


@dataclass(frozen=True, slots=True)
class LeakReport:
    """Every leak a check found, proven ones first. True when there are any; ``str()`` is the report to read.

    Attributes:
        leaks: what was found.
        waited_seconds: how long the check was patient with stragglers.
    """

    leaks: tuple[Leak, ...] = ()
    waited_seconds: float = 0.0

    @property
    def proven(self) -> tuple[Leak, ...]:
        """Those of which it is certain that they will never end."""
        return tuple(leak for leak in self.leaks if leak.proven)

    def counts(self) -> dict[str, int]:
        """Return how many leaks there are of each kind."""
        counts: dict[str, int] = {}
        for leak in self.leaks:
            counts[leak.kind] = counts.get(leak.kind, 0) + 1
        return counts

    def to_dict(self) -> dict[str, Any]:
        """Return the report as a dict that JSON can hold."""
        return {
            "leaks": [leak.to_dict() for leak in self.leaks],
            "proven": len(self.proven),
            "counts": self.counts(),
            "waited_seconds": self.waited_seconds,
        }

    def __bool__(self) -> bool:
        return bool(self.leaks)

    def __len__(self) -> int:
        return len(self.leaks)

    def __iter__(self) -> Iterator[Leak]:
        return iter(self.leaks)

    def __str__(self) -> str:
        from penstock.leaks._report.text import report_text

        return report_text(self)
