"""Find who holds an object: follow its referrers backwards, to places that a person can find in the code.

Whether something is a leak may depend on who holds it: the global of a module can still use it, a connection pool will.
And whoever fixes a leak wants to know which variable holds it. Unlike ``graph``, which counts references for a proof, this
is a limited search, which gives up after many objects.
"""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from time import thread_time
from types import CoroutineType, FrameType, ModuleType
from typing import Any

from penstock.leaks._looking.frames import variables
from penstock.leaks._looking.heap import (
    EVENT_LOOP,
    held_in_passing,
    is_a,
    is_called,
    is_of_a_test_runner,
    is_own,
    is_running,
    place_in_words,
    referents,
    running_frames,
    where,
)
from penstock.leaks._looking.memory import Memory
from penstock.leaks._looking.stack import call_site

__all__ = ["Holding", "Search"]

_MOST_OBJECTS = 3000  # what more than these refer to is alive and well known
_LONGEST_SECONDS = 1.0  # of this thread's own: a verdict must not hang on what else the machine does
_MOST_HOLDERS = 3
_FROZEN_BY_PYTHON = 2000  # some hundreds, in 3.12; whoever freezes a program freezes tens of thousands
_OWN_PACKAGE = "penstock.leaks"
_LOOP_MACHINERY = ("asyncio", "_asyncio", "uvloop")
_THREAD_FIELDS = {"_target", "_args", "_kwargs"}

# Lists that libraries keep for their own ends; who is in one of these is not held by it in any sense that matters.
_REGISTRIES = (
    ("threading", "_active"),
    ("threading", "_limbo"),
    ("asyncio.events", "_event_loop_policy"),  # the loop that is current in each thread
    ("asyncio.tasks", "_current_tasks"),
    ("asyncio.tasks", "_eager_tasks"),
    ("multiprocessing.process", "_children"),
    ("multiprocessing.util", "_finalizer_registry"),
    ("subprocess", "_active"),
)


@dataclass(slots=True)
class Holding:
    """Who holds one object.

    Attributes:
        chain: the object itself and all through which it can be reached, nearest first, up to where a person finds it.
        holders: the nearest of those places, in words.
        module_global: the global of a module that reaches it, as ``module.NAME``, if one does.
        complete: False when the search was given up.
    """

    chain: list[Any] = field(default_factory=list)
    holders: tuple[str, ...] = ()
    module_global: str | None = None
    complete: bool = True

    def nearest(self, *types: str) -> Any | None:
        """Return the first in the chain that is of one of ``types``, ``module.qualified_name``, or of a subclass."""
        return next((thing for thing in self.chain if is_called(thing, *types)), None)


class Search:
    """Goes backwards from ``things``, all at the same time, since each step looks at the whole heap.

    Holds what it has found for as long as it lives.
    """

    def __init__(self, things: Iterable[Any]) -> None:
        self._objects: dict[int, Any] = {}
        self._behind: dict[int, list[int]] = {}
        self._places: dict[int, list[str]] = {}  # where a person finds an object, in words
        self._globals: dict[int, str] = {}
        self._complete = gc.get_freeze_count() < _FROZEN_BY_PYTHON  # what is frozen shows nothing of what it refers to
        self._layer = self._fresh(things)
        self._modules = {id(vars(each)): name for name, each in list(sys.modules.items()) if is_a(each, ModuleType)}
        self._registries = {id(registry) for registry in _registries()}
        until = thread_time() + _LONGEST_SECONDS
        while self._layer:
            if len(self._objects) > _MOST_OBJECTS or thread_time() > until:
                self._complete = False
                break
            self._step()
        self._look_at_running_functions()

    def _fresh(self, things: Iterable[Any]) -> list[Any]:
        layer = []
        for thing in things:
            if id(thing) not in self._objects:
                self._objects[id(thing)] = thing
                layer.append(thing)
        return layer

    def _step(self) -> None:
        layer, wanted = self._layer, {id(thing) for thing in self._layer}
        arguments = tuple(layer)
        ours = {id(layer), id(arguments), id(self._objects), id(self.__dict__)}
        further = []
        for referrer in gc.get_referrers(*arguments):
            if id(referrer) in ours or self._is_of_no_account(referrer):
                continue
            hits = [i for i in dict.fromkeys(map(id, referents(referrer))) if i in wanted]
            hits = _without_target(referrer, hits)
            if hits and not self._is_an_end(referrer, hits):
                further.append(referrer)
                for i in hits:
                    self._behind.setdefault(i, []).append(id(referrer))
        self._layer = self._fresh(further)

    def _is_of_no_account(self, referrer: Any) -> bool:
        if id(referrer) in self._registries or str(type(referrer).__module__).startswith(_OWN_PACKAGE):
            return True
        return is_own(referrer) if is_a(referrer, FrameType) else is_running(referrer)

    def _is_an_end(self, referrer: Any, hits: list[int]) -> bool:
        """Note who ``referrer`` is if there is no need to look behind it."""
        module = self._module_of(referrer)
        if module is not None:
            if is_of_a_test_runner(module):
                return True
            names = {id(value): name for name, value in list(referrer.items())} if type(referrer) is dict else {}
            self._globals.update((i, f"{module}.{names[i]}" if i in names else module) for i in hits)
            return True
        if is_a(referrer, type):  # all its instances refer to it, and hold none of this
            if _is_in_a_module(referrer):
                self._globals.update((i, f"{referrer.__module__}.{referrer.__qualname__}") for i in hits)
            return True
        # All that happens in an event loop refers to it, and holds none of what is its own.
        of_asyncio = str(type(referrer).__module__).partition(".")[0] in _LOOP_MACHINERY
        return of_asyncio and all(is_called(self._objects[i], EVENT_LOOP) for i in hits)

    def _module_of(self, referrer: Any) -> str | None:
        """Return the name of the module that ``referrer`` is, or whose globals it is."""
        if is_a(referrer, ModuleType):
            return str(referrer.__name__)
        known = self._modules.get(id(referrer))
        if known is None and type(referrer) is dict and "__builtins__" in referrer and "__name__" in referrer:
            return str(referrer["__name__"])  # one that is not, or no more, in sys.modules
        return known

    def _look_at_running_functions(self) -> None:
        """Find who holds what was found among functions that run; the garbage collector does not show what they hold."""
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        here = threading.get_ident()
        with Memory() as memory:
            for ident, frame in running_frames():
                if frame.f_globals.get("__name__") == "threading":
                    continue  # how a thread begins, and holds itself
                thread = "" if ident == here else f" (thread {names.get(ident, ident)!r})"
                for i, what in self._held_by(frame, memory):
                    self._places.setdefault(i, []).append(f"{what} of {where(frame)}{thread}")

    def _held_by(self, frame: FrameType, memory: Memory) -> Iterator[tuple[int, str]]:
        """Yield what of that which was found ``frame`` holds, and how: in variables, or else without one."""
        held = [
            (id(value), f"local {name!r}") for name, value in variables(frame).items() if id(value) in self._objects
        ]
        raw, site = memory.frame(frame), call_site(frame.f_code, frame.f_lasti)
        if not held and raw is not None and site is not None:
            held = [(i, "a `with`, loop or call") for i in raw.stack[: site.height] if i in self._objects]
        yield from held

    # -- one of the things

    def holding(self, thing: Any) -> Holding:
        """Return who holds ``thing``, one of those that the search began with."""
        holding = Holding(complete=self._complete)
        found: dict[str, None] = {}
        chain, known = [id(thing)], {id(thing)}
        behind_a_coroutine: set[int] = set()  # that says enough: who awaits it, and what those hold, does not
        for i in chain:  # grows during the loop
            current = self._objects[i]
            holding.chain.append(current)
            if i in self._globals:
                holding.module_global = holding.module_global or self._globals[i]
                found[f"module global {self._globals[i]}"] = None
            if i not in behind_a_coroutine:
                found.update(dict.fromkeys(self._places.get(i, ())))
                place = place_in_words(current) if i != id(thing) else None
                found.update({place: None} if place is not None else {})
            for behind in self._behind.get(i, ()):
                if behind not in known:
                    known.add(behind)
                    chain.append(behind)
                    if i in behind_a_coroutine or is_a(current, CoroutineType):
                        behind_a_coroutine.add(behind)
        holding.holders = tuple(found)[:_MOST_HOLDERS]
        return holding


def _registries() -> Iterator[object]:
    for module, name in _REGISTRIES:
        registry = getattr(sys.modules.get(module), name, None)
        if registry is not None:
            yield registry


def _without_target(referrer: Any, hits: list[int]) -> list[int]:
    """Leave out what a Thread has been started with: its function has that, and not whoever has the Thread."""
    if is_a(referrer, threading.Thread):
        cut = {id(getattr(referrer, name, None)) for name in _THREAD_FIELDS}
    elif type(referrer) is dict and referrer.keys() >= _THREAD_FIELDS:
        cut = {id(referrer[name]) for name in _THREAD_FIELDS}
    else:
        cut = set(held_in_passing(referrer))
    return [i for i in hits if i not in cut]


def _is_in_a_module(cls: type) -> bool:
    found: Any = sys.modules.get(cls.__module__)
    for name in cls.__qualname__.split("."):
        found = vars(found).get(name) if is_a(found, ModuleType, type) else None
    return found is cls
