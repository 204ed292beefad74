"""References through which nobody would wake a thread or task, so that the search need not follow them.

Each is in a list that some library keeps for its own purposes: to join threads at exit, to number them, to find out what
is left. They are counted like all references, but not followed. All others are followed.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextvars import copy_context
from types import FrameType, ModuleType
from typing import Any

from penstock.core import _origin
from penstock.leaks._looking.frames import variables
from penstock.leaks._looking.heap import held_in_passing, running_frames
from penstock.leaks._looking.stack import call_site
from penstock.leaks._looking.waits import Wait
from penstock.leaks._noting import origins
from penstock.leaks._straggler import Straggler

__all__ = ["Cuts"]

_THREAD_FIELDS = ("_target", "_args", "_kwargs")
_FINALIZE_INFO = weakref.finalize._Info  # type: ignore[attr-defined]


class Cuts:
    """What is cut, as things are now."""

    def __init__(self) -> None:
        self._containers = {id(container) for container in _containers()}
        self._targets_called = dict(_targets_called())
        self._context = {id(value): variable.name for variable, value in copy_context().items()}
        self._modules = {
            id(vars(module)): name for name, module in list(sys.modules.items()) if isinstance(module, ModuleType)
        }

    def context_variable_of(self, thing: object) -> str | None:
        """Return the name of the context variable of the thread that looks whose value is ``thing``."""
        name = self._context.get(id(thing))
        return f"the context variable {name}" if name is not None else None

    def module_of(self, thing: object) -> str | None:
        """Return the name of the module whose globals ``thing`` is."""
        return self._modules.get(id(thing))

    def followed(self, referrer: Any, hits: Sequence[int]) -> Iterable[int]:
        """Return those of the references ``hits``, which ``referrer`` holds, that somebody may wake a thread through."""
        if not hits or id(referrer) in self._containers or issubclass(type(referrer), Straggler | Wait):
            return ()
        if id(referrer) in self._targets_called:
            return _without(hits, self._targets_called[id(referrer)])
        passing = held_in_passing(referrer)
        if passing:
            return _without(hits, passing)
        if issubclass(type(referrer), _FINALIZE_INFO):
            return _without(hits, (id(referrer.weakref),))
        return hits


def _without(hits: Sequence[int], ids: Iterable[int]) -> list[int]:
    """Take one reference of ``hits`` away for each of ``ids``."""
    left = list(hits)
    for i in ids:
        if i in left:
            left.remove(i)
    return left


def _targets_called() -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield, for every thread that is in its target, the ids of its object, and of target and arguments kept there.

    Once called they are of no more use there. Before that they are: a thread that was not started, or whose ``run``
    has something else to do first, will call its target yet.
    """
    for _, frame in running_frames():
        if frame.f_code is threading.Thread.run.__code__ and _is_calling(frame):
            thread = variables(frame)["self"]
            fields = tuple(id(getattr(thread, name, None)) for name in _THREAD_FIELDS)
            yield id(thread), fields
            yield id(thread.__dict__), fields


def _is_calling(frame: FrameType) -> bool:
    site = call_site(frame.f_code, frame.f_lasti)
    return site is not None and site.instruction == "CALL_FUNCTION_EX"


def _containers() -> Iterable[object]:
    yield threading._active  # type: ignore[attr-defined]  # by ident, for enumerate()
    yield threading._limbo  # type: ignore[attr-defined]  # on their way to the above
    yield threading._dangling.data  # type: ignore[attr-defined]  # for the test suite of CPython
    yield _origin._live.data  # type: ignore[attr-defined]  # penstock's list of what breaks in a forked child
    yield origins.notes.data  # type: ignore[attr-defined]
    yield origins.resources.data  # type: ignore[attr-defined]
    yield from origins.own_weak_sets()
    queues = getattr(sys.modules.get("concurrent.futures.thread"), "_threads_queues", None)
    if queues is not None:
        yield queues.data  # queues of workers, to end them at interpreter exit
    tasks = sys.modules.get("asyncio.tasks")
    for name in ("_all_tasks", "_scheduled_tasks"):  # for asyncio.all_tasks(), and so for cancelling all at shutdown
        listed = getattr(tasks, name, None)
        if listed is not None:
            yield listed.data
