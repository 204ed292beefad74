"""Find objects of penstock itself that were not closed: pipes, channels and worker pools."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from penstock.core import _origin
from penstock.leaks._finders.own_ends import ChannelStraggler, PipeStraggler
from penstock.leaks._finders.own_straggler import OwnStraggler, counted
from penstock.leaks._looking.weaksets import references, remembered
from penstock.leaks._noting.origins import Note, OwnWeakSet, note_of
from penstock.leaks._report.model import Leak

if TYPE_CHECKING:
    from penstock.core.pool._crew import Crew

__all__ = ["OwnFinder", "PoolStraggler"]


class OwnFinder:
    """Finds pipes, channels and pools. Does not import their modules: if these are not loaded, there are none."""

    def baseline(self) -> OwnWeakSet:
        """Return the objects that exist."""
        return remembered(references(_origin._live))

    def stragglers(self, since: OwnWeakSet | None) -> list[OwnStraggler]:
        """Return the objects made since then that are open."""
        fresh = references(_origin._live)
        if since is not None:
            fresh -= references(since)
        found = [_straggler(thing) for reference in fresh if (thing := reference()) is not None]
        return [straggler for straggler in found if straggler is not None and straggler.is_open()]


def _straggler(thing: object) -> OwnStraggler | None:
    made = _STRAGGLERS.get(type(thing).__name__)
    return made(thing) if made is not None else None


class PoolStraggler(OwnStraggler):
    """A worker pool that has workers and was not shut down."""

    __slots__ = ()

    kind: Literal["pool"] = "pool"
    thing: Crew

    @property
    def name(self) -> str:
        """The name given to the pool, with which the names of its workers begin."""
        return self.thing.name

    def is_open(self) -> bool:
        """Whether it has workers and takes jobs. Without workers nothing is left but an object."""
        return not self.thing._shut and self.thing.size > 0

    def held(self) -> list[Any]:
        """Return the pool, which the crew itself knows only by the method that its workers call."""
        return [getattr(self.thing._run, "__self__", self.thing)]

    def covered_by(self, others: Sequence[Leak]) -> bool:
        """Whether one of its workers is reported: for as long as that one does not end, the pool cannot be left."""
        workers = {thread.name for thread in list(self.thing.workers.values())}
        return any(leak.kind == "thread" and leak.name in workers for leak in others)

    def leak(self, waited_seconds: float) -> Leak:
        """Describe it as a leak."""
        crew = self.thing
        note = self._note()
        pending = f", {len(crew.jobs)} pending" if crew.jobs else ""
        return Leak(
            kind="pool",
            name=self.name,
            fix="shut it down: use `with WorkerPool(...) as pool:`, or call shutdown() once its work is done",
            verdict=f"it has {counted({'worker': crew.size})}, {crew.running} running{pending}",
            started_at=str(note.place) if note is not None else None,
            start_stack=tuple(map(str, note.stack)) if note is not None else (),
            created_at=str(note.place) if note is not None else None,
            holders=self.holders(),
            waited_seconds=waited_seconds,
            scope=note.scope if note is not None else None,
            identity=self.identity,
        )

    def _note(self) -> Note | None:
        """Return where the pool was made, or for want of that where the first of its workers was started."""
        made = note_of(self.held()[0])
        if made is not None:
            return made
        started = [note_of(thread) for thread in list(self.thing.workers.values())]
        return min((note for note in started if note is not None), key=lambda note: note.at, default=None)


_STRAGGLERS: dict[str, Callable[[Any], OwnStraggler]] = {
    "ChannelState": ChannelStraggler,
    "Crew": PoolStraggler,
    "PipeState": PipeStraggler,
}
