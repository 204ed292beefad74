"""Find out who can reach an object, by counting its references and following them backwards.

CPython's collector subtracts the references it can see from an object's reference count; what is left comes from
outside. This does the same, but only for the objects from which the targets can be reached: it starts at the targets
and goes backwards, from each object to those that refer to it. An object with a reference nobody can name is a
*root*: somebody outside holds it, and it need not be looked behind. So for what has leaked the search is small, and
for what is alive it ends soon.

References that nobody would wake a thread through are counted and not followed: the lists of threads that
``threading`` keeps, the target and arguments of a ``Thread`` object, registries with weak references, this package's
own notes. A weak reference is no reference in the count, but whoever holds it can reach the object, so it is
followed like any other.
"""

from __future__ import annotations

import gc
import sys
import weakref
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock.leaks._looking.heap import referents
from penstock.leaks._reach.bookkeeping import Cuts
from penstock.leaks._reach.cleanup import is_asyncio_task, may_be_called_by_address, may_run_code_when_dropped
from penstock.leaks._reach.credits import Credit, bound_key

__all__ = ["Graph", "look_behind"]

MOST_OBJECTS = 4000  # a search that grows beyond is of something alive; nothing is claimed then


@dataclass(slots=True)
class Graph:
    """The objects from which the targets can be reached, up to the roots. Holds ids only.

    Attributes:
        roots: ids of objects that are held from outside, with the name of the module global that holds them, or "".
        edges: from the id of an object to the ids of those it refers to.
        credits: which credits each object took part in.
        cleanup: ids of objects that may run code when they are dropped.
        tasks: ids of asyncio tasks.
        context_variables: those names in ``roots`` that are of context variables, and not of modules.
        callbacks: ids of objects that C may call without a reference to them.
        overclaimed: ids of objects with more references explained than there are. Always empty, unless ``credits``
            is wrong about this interpreter.
        complete: False when the search was given up.
    """

    roots: dict[int, str] = field(default_factory=dict)
    edges: dict[int, set[int]] = field(default_factory=dict)
    credits: dict[int, list[Credit]] = field(default_factory=dict)
    cleanup: set[int] = field(default_factory=set)
    tasks: set[int] = field(default_factory=set)
    context_variables: set[str] = field(default_factory=set)
    callbacks: set[int] = field(default_factory=set)
    overclaimed: set[int] = field(default_factory=set)
    complete: bool = True

    def reached_from(self, sources: Iterable[int]) -> set[int]:
        """Return ``sources`` and every object that can be reached from them."""
        return _closure(sources, self.edges)

    def reaching(self, target: int, without: Collection[int] = ()) -> set[int]:
        """Return ``target`` and every object it can be reached from, on ways that do not lead through ``without``."""
        backwards: dict[int, set[int]] = {}
        for source, destinations in self.edges.items():
            for destination in destinations if source not in without else ():
                backwards.setdefault(destination, set()).add(source)
        return _closure((target,), backwards)


def _closure(sources: Iterable[int], edges: Mapping[int, Collection[int]]) -> set[int]:
    reached = set(sources)
    todo = list(reached)
    while todo:
        fresh = set(edges.get(todo.pop(), ())) - reached
        reached |= fresh
        todo += fresh
    return reached


class _Search:
    """One search. Every reference it holds itself to what it looks at is in one of its lists, where it is counted."""

    __slots__ = (
        "_base",
        "_behind",
        "_counts",
        "_cuts",
        "_explained",
        "_known",
        "_layer",
        "_left",
        "_objects",
        "_ours",
        "_pools",
        "graph",
    )

    def __init__(self, targets: list[Any], explained: Mapping[Credit, int], ours: Iterable[int]) -> None:
        self.graph = Graph()
        self._explained = explained
        self._known: set[int] = set()
        self._objects: list[Any] = []  # everything met, so that nothing goes away and its id is taken by another
        self._layer: list[Any] = []
        self._behind: list[Any] = []
        self._counts: Counter[int] = Counter()
        self._left: dict[int, int] = {}
        self._pools: dict[Credit, list[int]] = {}
        self._cuts = Cuts()
        self._ours = {id(self._objects), id(self._layer), id(self._behind), id(targets), *ours}
        self._base = _count_of_unshared()
        for index in range(len(targets)):
            self._add(targets[index])

    def _add(self, thing: Any) -> None:
        if id(thing) not in self._known:
            self._known.add(id(thing))
            self._layer.append(thing)

    def run(self) -> Graph:
        """Go backwards layer by layer."""
        while self._layer:
            if len(self._known) > MOST_OBJECTS:
                self.graph.complete = False
                break
            self._objects.extend(self._layer)
            self._behind.extend(_referrers(tuple(self._layer)))
            self._count()
            self._follow_weak_references()
            self._find_roots()
            self._advance()
        self._judge_pools()
        return self.graph

    def _count(self) -> None:
        """Count, for every object of the layer, the references that can be seen, and note whose they are."""
        layer = {id(thing) for thing in self._layer}
        self._counts.update(id(thing) for thing in self._behind if id(thing) in layer)
        for referrer in self._behind:
            hits = [i for i in map(id, referents(referrer)) if i in layer]
            self._counts.update(hits)
            if id(referrer) not in self._ours:
                for i in self._cuts.followed(referrer, hits):
                    self.graph.edges.setdefault(id(referrer), set()).add(i)

    def _follow_weak_references(self) -> None:
        layer = {id(thing) for thing in self._layer}
        for index in range(len(self._layer)):
            for reference in weakref.getweakrefs(self._layer[index]):
                if id(reference) in layer:
                    self._counts[id(reference)] += 1  # about to be held by self._behind
                self.graph.edges.setdefault(id(reference), set()).add(id(self._layer[index]))
                self._behind.append(reference)
            # The callback of a weak reference is called by whoever drops the object referred to.
            if isinstance(self._layer[index], weakref.ref) and self._layer[index].__callback__ is not None:
                self._follow_referent(self._layer[index]())

    def _follow_referent(self, referent: Any) -> None:
        if referent is None:
            return
        for reference in weakref.getweakrefs(referent):
            if id(reference) in self._known:
                self.graph.edges.setdefault(id(referent), set()).add(id(reference))
                self._behind.append(referent)

    def _find_roots(self) -> None:
        """Tell which objects of the layer are held by somebody who was not seen."""
        for index in range(len(self._layer)):
            i = id(self._layer[index])
            seen = self._counts[i] + self._explained.get(("id", i), 0)
            self._left[i] = sys.getrefcount(self._layer[index]) - self._base - seen
        for thing in self._layer:
            self._judge(thing)
        for referrer in self._behind:
            # What C holds as well as a module, such as gc.callbacks, is better known by the module's name for it.
            module = self._cuts.module_of(referrer)
            for i in self.graph.edges.get(id(referrer), ()) if module is not None else ():
                if self.graph.roots.get(i) == "":
                    self.graph.roots[i] = _global_name(module or "", referrer, (i,))

    def _judge(self, thing: Any) -> None:
        i = id(thing)
        pool = bound_key(thing)
        if pool not in self._explained:
            pool = None
        self.graph.credits[i] = [("id", i)] if pool is None else [("id", i), pool]
        if pool is not None:
            self._pools.setdefault(pool, []).append(i)
        module = self._cuts.module_of(thing)
        variable = self._cuts.context_variable_of(thing)
        if variable is not None:
            self.graph.roots[i] = variable
            self.graph.context_variables.add(variable)
        elif module is not None:
            self.graph.roots[i] = _global_name(module, thing, self.graph.edges.get(i, ()))
        elif self._left[i] < 0 or (self._left[i] and pool is None):
            self.graph.roots[i] = ""
        elif may_be_called_by_address(thing):
            self.graph.callbacks.add(i)
        if self._left[i] < 0:
            self.graph.overclaimed.add(i)
        if may_run_code_when_dropped(thing):
            self.graph.cleanup.add(i)
        if is_asyncio_task(thing):
            self.graph.tasks.add(i)

    def _advance(self) -> None:
        """Go on to who refers to those that are not roots."""
        open_ends = {id(thing) for thing in self._layer} - self.graph.roots.keys()
        self._layer.clear()
        for referrer in self._behind:
            if not open_ends.isdisjoint(self.graph.edges.get(id(referrer), ())):
                self._add(referrer)
        self._behind.clear()

    def _judge_pools(self) -> None:
        """Take for roots the bound methods that the credits for those do not explain exactly."""
        for key, members in self._pools.items():
            if sum(self._left[i] for i in members) != self._explained[key] or min(self._left[i] for i in members) < 0:
                for i in members:
                    self.graph.roots.setdefault(i, "")


def _global_name(module: str, namespace: Mapping[str, Any], reached: Collection[int]) -> str:
    for name, value in namespace.items():
        if id(value) in reached:
            return f"{module}.{name}"
    return module


def _referrers(things: tuple[Any, ...]) -> list[Any]:
    """Return what refers to ``things``, this tuple itself aside."""
    found = [referrer for referrer in gc.get_referrers(*things) if referrer is not things]
    if sys.version_info < (3, 12):
        found += _tasks_passed_over(things, {id(referrer) for referrer in found})
    return found


def _tasks_passed_over(things: tuple[Any, ...], found: set[int]) -> list[Any]:
    """Return the tasks that refer to ``things`` in what they have of a future: get_referrers() misses that on 3.11."""
    asyncio = sys.modules.get("asyncio.tasks")
    wanted = {id(thing) for thing in things}
    tasks = list(asyncio._all_tasks) if asyncio is not None else []
    return [t for t in tasks if id(t) not in found and not wanted.isdisjoint(map(id, referents(t)))]


def _count_of_unshared() -> int:
    """Return what ``sys.getrefcount`` says of an object that one list holds, less that one."""
    probe = [object()]
    return sys.getrefcount(probe[0]) - 1


def look_behind(targets: list[Any], explained: Mapping[Credit, int], ours: Iterable[int] = ()) -> Graph:
    """Find out who can reach ``targets``.

    ``explained`` are the references that cannot be seen, with how many there are of each; see ``credits``. ``ours`` are
    ids of containers that the caller holds targets in, besides ``targets``.
    """
    return _Search(targets, explained, ours).run()
