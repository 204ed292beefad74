"""The contract between the check and the finders, one of which exists for each family of things that can leak.

A check asks every finder for its *stragglers*: things that were made since the snapshot and still exist. It does so many
times within the grace, so it must be cheap, and in a clean process it is all that happens. Only what is left at the end
is examined closely and described as a ``Leak``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from penstock.leaks._report.model import Kind, Leak

__all__ = ["Finder", "Parked", "Straggler", "Verdict"]


class Straggler(ABC):
    """A thing that still exists although it may have leaked. Lives for one check only, and may hold that thing."""

    __slots__ = ()

    kind: Kind

    @property
    @abstractmethod
    def identity(self) -> Hashable:
        """What distinguishes it from others of its kind, across the rounds of one check and across checks."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Its name for people; see :class:`Leak`."""

    def functions(self) -> Sequence[str]:
        """Return the functions it is in, as ``module.qualified_name``, innermost first; for ``ignore`` rules."""
        return ()

    def created_by(self) -> str | None:
        """Return the function it was started or made by, as ``module.qualified_name``, if known."""
        return None

    def serves(self) -> str | None:
        """Return the reason if this is no leak although it still exists, else None. Asked once the grace is over."""
        return None

    @abstractmethod
    def leak(self, waited_seconds: float) -> Leak:
        """Describe it as a leak. ``waited_seconds``: how long this check has seen it unchanged."""

    def covered_by(self, others: Sequence[Leak]) -> bool:
        """Whether a leak that will be reported, found by an earlier finder, already points at the same mistake."""
        return False


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to whether a waiting thread or task can ever be woken.

    Attributes:
        proven: True if it has been proven that it cannot.
        reason: why it is proven, or what prevents a proof; one clause.
        holders: who holds what it waits on.
        held_by_module: the module global that reaches what it waits on, as ``module.name``, if one does.
    """

    proven: bool
    reason: str
    holders: tuple[str, ...] = ()
    held_by_module: str | None = None


class Parked(Straggler):
    """A straggler that may wait for something: a thread or a task. The proof decides whether it can be woken."""

    __slots__ = ()

    @abstractmethod
    def awaited(self) -> object | None:
        """Return the object through which alone it can be woken; None if it does not wait, or waits otherwise."""

    def parts(self) -> Sequence[object]:
        """Return the objects that are part of it and so cannot wake it by going away: the coroutines of a task."""
        return ()

    def dozes(self) -> bool:
        """Whether it is in a wait that ends by itself, with a timeout. Asked in every round, so it must be cheap."""
        return False

    def has_dozed(self) -> None:
        """Note that an earlier round has found it in such a wait."""

    def certain(self) -> Verdict | None:
        """Return the verdict if it is clear without searching for who could wake it, else None."""
        return None

    def serves(self, verdict: Verdict | None = None) -> str | None:
        """Return the reason if this is no leak although it still exists, else None."""
        return None

    @abstractmethod
    def leak(self, waited_seconds: float, verdict: Verdict | None = None) -> Leak:
        """Describe it as a leak. ``verdict`` is None if the proof did not consider it."""


class Finder(Protocol):
    """Finds the things of one family, such as threads or file descriptors."""

    def baseline(self) -> Any:
        """Return what exists now, in a form that keeps none of it alive. Cheap: a fraction of a millisecond."""
        ...

    def stragglers(self, since: Any | None) -> Iterable[Straggler]:
        """Return what exists now and is not in ``since``; None means nothing is. Cheap, too."""
        ...
