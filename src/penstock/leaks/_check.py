"""The check itself: take a snapshot, wait for things that are on their way out, describe what is left.

The waiting follows goleak: look again after 1 microsecond, then after twice as long, up to every 100 milliseconds. So a
thread that is about to end costs microseconds, while a leak costs the whole grace.
"""

from __future__ import annotations

import gc
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Any, get_args

from penstock.leaks._defaults import ALWAYS_IGNORED, DEFAULT_IGNORES
from penstock.leaks._finders import FINDERS
from penstock.leaks._ignore import Ignore, ignored
from penstock.leaks._noting import origins
from penstock.leaks._report.model import Kind, Leak, LeakReport
from penstock.leaks._straggler import Parked, Straggler

__all__ = ["GRACE_SECONDS", "Snapshot", "find_leaks", "find_leaks_async", "snapshot"]

GRACE_SECONDS = 0.5
_FIRST_PAUSE = 1e-6
_KINDS = get_args(Kind)  # in the order of the report: causes before what they hold
_LONGEST_PAUSE = 0.1


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Snapshot:
    """What existed at one moment, made by :func:`snapshot`. Keeps none of it alive.

    Attributes:
        taken_at: when, on the clock of ``time.monotonic``.
    """

    taken_at: float
    _baselines: tuple[Any, ...] = field(repr=False)


def snapshot() -> Snapshot:
    """Remember what exists now, so that a later check ignores it. Does not block.

    As long as the snapshot is held, the places where threads, tasks and processes are started, and where queues, events
    and the like are made, are recorded for the report (about a microsecond each).
    """
    taken = Snapshot(monotonic(), tuple(finder.baseline() for finder in FINDERS))
    origins.watched(taken)
    return taken


def find_leaks(
    *,
    since: Snapshot | None = None,
    ignore: Iterable[Ignore] = (),
    grace: float = GRACE_SECONDS,
    strict: bool = False,
) -> LeakReport:
    """Return a report of what still exists and should not.

    Blocks for up to ``grace`` seconds if something is left, and not at all if nothing is. Raises nothing for a leak;
    see :class:`leakcheck` for that.

    Args:
        since: ignore what existed at this snapshot. None checks everything in the process, and of file descriptors
            those opened since ``penstock.leaks`` was imported.
        ignore: rules made by :func:`penstock.leaks.ignore`, in addition to the built-in ones.
        grace: seconds to wait for things that are still on their way out.
        strict: also report what will probably end by itself or is a service: daemon threads in a wait with a timeout,
            threads that wait for work on a queue which a module global holds, idle workers of executors.

    Returns:
        The report; it is false if nothing was left.
    """
    patience = _Patience(since, tuple(ignore), grace, strict)
    for pause in patience.pauses():
        sleep(pause)
    return patience.report()


async def find_leaks_async(
    *,
    since: Snapshot | None = None,
    ignore: Iterable[Ignore] = (),
    grace: float = GRACE_SECONDS,
    strict: bool = False,
) -> LeakReport:
    """Do what :func:`find_leaks` does in an asyncio or trio task: the event loop goes on while this waits."""
    from penstock.leaks._finders.loops import pause_in_loop

    patience = _Patience(since, tuple(ignore), grace, strict)
    for pause in patience.pauses():
        await pause_in_loop(pause)
    return patience.report()


class _Patience:
    """One check: its rounds of looking. The caller does the waiting between them, in a thread or a task."""

    def __init__(self, since: Snapshot | None, ignore: tuple[Ignore, ...], grace: float, strict: bool) -> None:
        self._baselines = since._baselines if since is not None else (None,) * len(FINDERS)
        self._rules = (*ignore, *(ALWAYS_IGNORED if strict else DEFAULT_IGNORES))
        self._grace = grace
        self._strict = strict
        self._began = monotonic()
        self._first_seen: dict[Any, float] = {}
        self._left: list[Straggler] = []
        self._has_collected = False
        self._dozing: set[Any] = set()

    def pauses(self) -> Generator[float]:
        """Look, and yield the seconds to wait before the next look, until nothing is left or the grace is over."""
        pause = _FIRST_PAUSE
        while self._look():
            remaining = self._began + self._grace - monotonic()
            if remaining <= 0:
                return
            if remaining < self._grace / 2 and not self._has_collected:
                # Collecting garbage may end threads, as a dropped executor ends its workers. The tasks found are
                # still held here, or the collector would destroy them, and what there is to say about them.
                self._has_collected = True
                gc.collect()
            self._left = []  # these hold the things found, and must not while those may still go away
            yield min(pause, remaining)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _look(self) -> list[Straggler]:
        found = [
            straggler
            for finder, baseline in zip(FINDERS, self._baselines, strict=True)
            for straggler in finder.stragglers(baseline)
        ]
        self._left = [straggler for straggler in found if not ignored(straggler, self._rules)]
        self._dozing.update(s.identity for s in self._left if isinstance(s, Parked) and s.dozes())
        now = monotonic()
        seen = self._first_seen
        self._first_seen = {s.identity: seen.get(s.identity, now) for s in self._left}
        return self._left

    def report(self) -> LeakReport:
        """Describe what is left."""
        now = monotonic()
        leaks: list[Leak] = []
        left, self._left = self._left, []
        for straggler in left:
            if isinstance(straggler, Parked) and straggler.identity in self._dozing:
                straggler.has_dozed()
        if left:
            from penstock.leaks._proof import describe

            leaks = describe(left, {i: now - since for i, since in self._first_seen.items()}, strict=self._strict)
        leaks.sort(key=lambda leak: (not leak.proven, _KINDS.index(leak.kind), leak.name))
        return LeakReport(tuple(leaks), waited_seconds=now - self._began)
