"""The result of a check: ``Leak`` and ``LeakReport``. Plain data, which keeps nothing that leaked alive."""

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

    Places are text: ``file:line in function``. Fields that could not be determined are None or empty.

    Attributes:
        kind: the kind of thing, such as ``"thread"`` or ``"socket"``.
        name: what identifies it to people: the name of a thread or task, the command line of a process, the path of a
            file.
        fix: the likely remedy, in one sentence.
        proven: True if it has been proven that nothing in this process can ever wake it; otherwise it is suspected.
        verdict: the reason it counts as proven, or what prevents a proof.
        started_at: where it was started or made.
        start_stack: the calls that led there, outermost first; known only while ``trace_starts()`` is on.
        blocked_on: the operation it is blocked in, and the object it waits for.
        created_at: where that object was made.
        holders: who holds that object, or its other ends.
        open_ends: for a pipe or channel, how many of its other ends are open.
        stack: where it is now, outermost call first.
        waited_seconds: how long, at least, it has been there.
        scope: the test or other owner that it was started under (see ``penstock.pytest_plugin``).
        identity: distinguishes this leak from others of its kind while it exists; not part of comparisons.
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
        """Return the fields as a dict, ready for ``json.dumps``."""
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
    """All leaks that a check found, proven ones first. It is true if there are any; ``str()`` is the readable report.

    Attributes:
        leaks: the leaks; ``len()`` and iterating work on the report too.
        waited_seconds: how long the check has waited for things on their way out.
    """

    leaks: tuple[Leak, ...] = ()
    waited_seconds: float = 0.0

    @property
    def proven(self) -> tuple[Leak, ...]:
        """The leaks that are proven never to end."""
        return tuple(leak for leak in self.leaks if leak.proven)

    def counts(self) -> dict[str, int]:
        """Return how many leaks there are of each kind."""
        counts: dict[str, int] = {}
        for leak in self.leaks:
            counts[leak.kind] = counts.get(leak.kind, 0) + 1
        return counts

    def to_dict(self) -> dict[str, Any]:
        """Return the report as a dict, ready for ``json.dumps``."""
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
