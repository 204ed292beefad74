"""Find asynchronous generators that were started and neither read to their end nor closed.

What such a generator has opened stays open: its ``finally`` runs only when somebody closes it, or in some event loop at
some later time. Those that were started in an event loop can be found, because the loop keeps track of them.
"""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Hashable, Iterable, Iterator, Sequence
from types import AsyncGeneratorType, FrameType
from typing import Any, Literal

from penstock.leaks._looking.frames import function_name, location
from penstock.leaks._looking.heap import EVENT_LOOP, is_called
from penstock.leaks._looking.holders import Search
from penstock.leaks._looking.in_use import is_in_order_hands
from penstock.leaks._looking.weaksets import references, remembered
from penstock.leaks._noting.origins import OwnWeakSet, resources
from penstock.leaks._report.model import Leak
from penstock.leaks._straggler import Straggler

__all__ = ["GeneratorFinder", "GeneratorStraggler"]

Generator = AsyncGeneratorType[Any, Any]
_References = frozenset["weakref.ref[Any]"]

_FIX = (
    "a loop over it was left early, or never went on: `async with contextlib.aclosing(...)` around the loop closes it "
    "on every way out"
)


class GeneratorFinder:
    """Finds asynchronous generators, by the event loops that will close them in the end."""

    def baseline(self) -> OwnWeakSet:
        """Return the generators that have been begun."""
        return remembered(_begun())

    def stragglers(self, since: OwnWeakSet | None) -> list[GeneratorStraggler]:
        """Return those begun since then that are suspended where they hand out a value."""
        fresh = _begun() - references(since) if since is not None else _begun()
        generators = [generator for reference in fresh if (generator := reference()) is not None]
        return [GeneratorStraggler(weakref.ref(each)) for each in generators if _is_left_suspended(each)]


class GeneratorStraggler(Straggler):
    """An asynchronous generator that somebody began. Does not keep it alive."""

    __slots__ = ("_identity", "_reference")

    kind: Literal["generator"] = "generator"

    def __init__(self, reference: weakref.ref[Generator]) -> None:
        self._reference = reference
        self._identity = ("generator", id(reference()))

    @property
    def identity(self) -> Hashable:
        """The address of the object."""
        return self._identity

    @property
    def name(self) -> str:
        """The function it is of."""
        generator = self._reference()
        return generator.__qualname__ if generator is not None else "?"

    def functions(self) -> Sequence[str]:
        """Return the function it is of."""
        frame = self._frame()
        return () if frame is None else (function_name(frame),)

    def serves(self) -> str | None:
        """Return the reason if it may be suspended without being a leak, else None."""
        gc.collect()  # one that is garbage is about to be closed by its loop
        generator = self._reference()
        if generator is None or self._reference not in _begun() or not _is_left_suspended(generator):
            return "it has ended meanwhile, or its loop is about to close it"
        if any(map(_is_a_manager, gc.get_referrers(generator))):
            return "it is a context manager, and whoever has entered it will leave it"
        return None

    def leak(self, waited_seconds: float) -> Leak:
        """Describe it as a leak."""
        generator, frame = self._reference(), self._frame()
        holders = Search([generator]).holding(generator).holders if generator is not None else ()
        return Leak(
            kind=self.kind,
            name=self.name,
            fix=_FIX,
            blocked_on="suspended at a `yield`, until somebody asks for the next value",
            stack=() if frame is None else (location(frame),),
            holders=holders,
            waited_seconds=waited_seconds,
            identity=self.identity,
        )

    def covered_by(self, others: Sequence[Leak]) -> bool:
        """Whether a thread or task that has not leaked is in a loop over it."""
        generator = self._reference()
        return generator is None or is_in_order_hands(generator, others)

    def _frame(self) -> FrameType | None:
        generator = self._reference()
        return generator.ag_frame if generator is not None else None


def _is_left_suspended(generator: Generator) -> bool:
    # While somebody awaits its next value it is said to run; then it is that task's business.
    return generator.ag_frame is not None and not generator.ag_running


def _is_a_manager(referrer: object) -> bool:
    if type(referrer) is dict:  # up to 3.12 the attributes of an instance may be in one
        return referrer.keys() == {"gen", "func", "args", "kwds", "__doc__"}
    return is_called(referrer, "contextlib._AsyncGeneratorContextManager")


def _begun() -> _References:
    found: _References = frozenset()
    for weak in _known_generators():
        found |= references(weak)
    return found


def _known_generators() -> Iterator[Any]:
    """Yield the weak sets in which event loops keep the asynchronous generators begun in them."""
    events = sys.modules.get("asyncio.events")
    if events is not None:
        for loop in _loops(events):
            weak = getattr(loop, "_asyncgens", None)
            if isinstance(weak, weakref.WeakSet):
                yield weak
    trio = sys.modules.get("trio._core._run")
    runner = getattr(getattr(trio, "GLOBAL_RUN_CONTEXT", None), "runner", None)
    alive = getattr(getattr(runner, "asyncgens", None), "alive", None)
    if isinstance(alive, weakref.WeakSet):  # not one at the end of the run, when it closes them
        yield alive


def _loops(events: Any) -> Iterable[Any]:
    """Return the event loops that are known: this thread's, those made while somebody watched, older ones with tasks.

    The older ones are looked for once: a loop that rests without a task at that time stays unknown until it runs here.
    """
    if not _first_look_done:
        _first_look_done.append(True)
        _older_loops.update(_loops_with_tasks())
    # Another thread may be importing asyncio at this moment, and have come no further than to the module's name.
    running = getattr(events, "_get_running_loop", lambda: None)()
    if running is not None:
        _older_loops.add(running)
    made = [thing for reference in resources.keyrefs() if is_called(thing := reference(), EVENT_LOOP)]
    return {*made, *(loop for reference in references(_older_loops) if (loop := reference()) is not None)}


def _loops_with_tasks() -> Iterator[Any]:
    tasks = sys.modules.get("asyncio.tasks")
    for name in ("_scheduled_tasks", "_all_tasks"):  # the latter up to 3.11
        for reference in references(getattr(tasks, name, weakref.WeakSet())):
            task = reference()
            if task is not None:
                yield task.get_loop()


_older_loops = OwnWeakSet()
_first_look_done: list[bool] = []
