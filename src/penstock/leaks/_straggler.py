"""What a finder looks for, and what it says of it: the contract between the check and the finders.

A check asks every finder for its *stragglers*: what was made since the snapshot and is still there. That happens
many times within the grace, so it must be cheap, and in a clean process it is all that happens. Only what is left at
the end is looked at closely and described as a ``Leak``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from penstock.leaks._report.model import Kind, Leak

__all__ = ["Finder", "Parked", "Straggler", "Verdict"]


class Straggler(ABC):
    """Something that is still there. Lives for the length of one check only; may hold what it is about."""

    __slots__ = ()

    kind: Kind

    @property
    @abstractmethod
    def identity(self) -> Hashable:
        """Tells it from others of its kind, across rounds of one check and across checks."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What its owner calls it."""

    def functions(self) -> Sequence[str]:
        """Return the functions it is in, innermost first, as ``module.qualified_name``; for ``ignore``."""
        return ()

    def created_by(self) -> str | None:
        """Return the function it was started or made by, as ``module.qualified_name``, if known."""
        return None

    def serves(self) -> str | None:
        """Return why this is not a leak although it is still there, or None. Asked once the grace is over."""
        return None

    @abstractmethod
    def leak(self, waited_seconds: float) -> Leak:
        """Describe it. ``waited_seconds``: how long this check has seen it unchanged."""

    def covered_by(self, others: Sequence[Leak]) -> bool:
        """Whether one of the leaks to be reported, found by the finders before, tells of the same mistake already."""
        return False


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether something that waits can ever be woken.

    Attributes:
        proven: it has been proven that it cannot.
        reason: why, or what stands in the way of a proof; one clause.
        holders: who holds what it waits on.
        held_by_module: the module global that reaches what it waits on, as ``module.name``, if one does.
    """

    proven: bool
    reason: str
    holders: tuple[str, ...] = ()
    held_by_module: str | None = None


class Parked(Straggler):
    """A straggler that may wait for something: a thread or a task. Whether it can be woken is found out for it."""

    __slots__ = ()

    @abstractmethod
    def awaited(self) -> object | None:
        """Return the object through which alone it can be woken, or None when it does not wait, or not for that."""

    def parts(self) -> Sequence[object]:
        """Return what would end with it, and so cannot wake it by ending: the coroutines of a task."""
        return ()

    def dozes(self) -> bool:
        """Whether it is in a wait that ends by itself. Asked in every round; cheap."""
        return False

    def has_dozed(self) -> None:
        """Take note that an earlier round has found it in such a wait."""

    def certain(self) -> Verdict | None:
        """Return the verdict where it is plain without looking into who could wake it, else None."""
        return None

    def serves(self, verdict: Verdict | None = None) -> str | None:
        """Return why this is not a leak although it is still there, or None."""
        return None

    @abstractmethod
    def leak(self, waited_seconds: float, verdict: Verdict | None = None) -> Leak:
        """Describe it. ``verdict`` is None when it was not looked into."""


class Finder(Protocol):
    """Finds one family of things."""

    def baseline(self) -> Any:
        """Return what is there now, in a form that keeps none of it alive. Cheap: a fraction of a millisecond."""
        ...

    def stragglers(self, since: Any | None) -> Iterable[Straggler]:
        """Return what is there now and was not in ``since`` (None: nothing was). Cheap as well."""
        ...
