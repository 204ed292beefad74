"""Describe pipes and channels with ends that were not closed.

An end that is dropped open emits a ``ResourceWarning`` itself. So the ends found here are still held by somebody, or are
part of a reference cycle that has not been collected yet.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from penstock.leaks._finders.own_straggler import OwnStraggler, counted
from penstock.leaks._report.model import Leak

if TYPE_CHECKING:
    from penstock.core.channel._state import ChannelState
    from penstock.core.pipe._state import PipeState

__all__ = ["ChannelStraggler", "PipeStraggler"]

_UNNAMED = "unnamed"


class _EndsStraggler(OwnStraggler):
    """Something with ends that wait for each other."""

    __slots__ = ()

    thing: ChannelState | PipeState

    @abstractmethod
    def open_ends(self) -> dict[str, list[Any]]:
        """Return the ends that are open, by what they are called; none once it is broken: all have been told then."""

    @abstractmethod
    def waiting(self) -> dict[str, int]:
        """Return how many threads and tasks wait in it, by what for."""

    @property
    def name(self) -> str:
        """The name given when it was made."""
        return self.thing.name or _UNNAMED

    def is_open(self) -> bool:
        """Whether an end is open."""
        return any(self.open_ends().values())

    def held(self) -> list[Any]:
        """Return the open ends."""
        return [end for ends in self.open_ends().values() for end in ends]

    def covered_by(self, others: Sequence[Leak]) -> bool:
        """Whether somebody who waits on one of its ends is reported; with that comes who holds the other end."""
        origin = str(self.thing.origin)
        waiters = (leak for leak in others if leak.kind in ("thread", "task"))
        return any(self.waiting().values()) and any(leak.created_at == origin for leak in waiters)

    def leak(self, waited_seconds: float) -> Leak:
        """Describe it as a leak."""
        ends = {what: len(found) for what, found in self.open_ends().items() if found}
        waiting = counted(self.waiting())
        return Leak(
            kind=self.kind,
            name=self.name,
            fix=self._fix(ends),
            verdict=f"{counted(ends)} open" + (f", {waiting}" if waiting else ""),
            started_at=str(self.thing.origin),
            created_at=str(self.thing.origin),
            holders=self.holders(),
            open_ends=sum(ends.values()),
            waited_seconds=waited_seconds,
            identity=self.identity,
        )

    def _fix(self, ends: dict[str, int]) -> str:
        label = f"{self.kind} {self.thing.name!r}" if self.thing.name else f"this {self.kind}"
        which = counted({f"open {what}": count for what, count in ends.items()})
        several = sum(ends.values()) > 1
        close = "close each" if several else "close it"
        if self.is_garbage():
            return f"{label} has {which} and {'they are' if several else 'it is'} garbage: {close}"
        return f"{label} has {which}: {close}, best with a `with` block around its use"


class ChannelStraggler(_EndsStraggler):
    """A channel with ends that are open."""

    __slots__ = ()

    kind: Literal["channel"] = "channel"
    thing: ChannelState

    def open_ends(self) -> dict[str, list[Any]]:
        """Return its open senders and receivers; none once it has been aborted."""
        state = self.thing
        if state.send_error is not None or state.receive_error is not None:
            return {}
        return {"sender": _alive(state.send_ends.values()), "receiver": _alive(state.receive_ends.values())}

    def waiting(self) -> dict[str, int]:
        """Return how many wait to send and to receive."""
        return {"blocked send": len(self.thing.senders), "blocked receive": len(self.thing.receivers)}


class PipeStraggler(_EndsStraggler):
    """A pipe with an end that is open."""

    __slots__ = ()

    kind: Literal["pipe"] = "pipe"
    thing: PipeState

    def open_ends(self) -> dict[str, list[Any]]:
        """Return its ends that are open; none once it has been aborted."""
        from penstock.core.pipe._outcomes import CLOSED, HELD

        state = self.thing
        if any(outcome not in (None, CLOSED, HELD) for outcome in (state.write_outcome, state.read_outcome)):
            return {}
        return {
            "write end": _alive([state.write_end]) if state.write_outcome is None else [],
            "read end": _alive([state.read_end]) if state.read_outcome is None else [],
        }

    def waiting(self) -> dict[str, int]:
        """Return how many wait to write and to read."""
        return {"blocked write": len(self.thing.writers), "blocked read": len(self.thing.readers)}


def _alive(ends: Iterable[Callable[[], Any] | None]) -> list[Any]:
    """Return what the weak references ``ends`` refer to."""
    return [end for reference in list(ends) if reference is not None and (end := reference()) is not None]
