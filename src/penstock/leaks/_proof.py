"""The proof of which waiting threads and tasks can never be woken, and the description of everything that is left.

A thread that waits without a timeout is *dead* if only other dead ones can reach what it waits on. To find the dead,
take all that wait without a timeout, and find out who can reach what they wait on. Strike off each that something alive
can reach; a thread struck off is alive, and so is everything its functions hold. Repeat until nothing changes. What
remains can only be reached from itself. ``docs/leaks.md`` has the argument and its limits.

Other threads run meanwhile, so a verdict counts only if two searches in a row agree.
"""

from __future__ import annotations

import gc
import re
import sys
import threading
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from penstock.leaks._finders.threads import ThreadFinder, ThreadStraggler
from penstock.leaks._looking.frames import own_names, variables
from penstock.leaks._looking.heap import is_of_a_test_runner, running_frames, where
from penstock.leaks._looking.memory import Memory
from penstock.leaks._reach.credits import Credit, credits_of, is_on_stack
from penstock.leaks._reach.graph import Graph, look_behind
from penstock.leaks._report.model import Leak
from penstock.leaks._straggler import Parked, Straggler, Verdict

__all__ = ["describe", "verdicts"]

_Owner = tuple[str, int]


def describe(left: Sequence[Straggler], seen_seconds: Mapping[Hashable, float], *, strict: bool) -> list[Leak]:
    """Return a leak for everything in ``left`` that should not exist any more."""
    judged = verdicts([straggler for straggler in left if isinstance(straggler, Parked)])
    waiting: list[Leak] = []
    for straggler in left:
        if isinstance(straggler, Parked):
            verdict = straggler.certain() or judged.get(straggler.identity)
            if strict or straggler.serves(verdict) is None:
                leak = straggler.leak(seen_seconds.get(straggler.identity, 0.0), verdict)
                waiting.append(leak if leak.proven else replace(leak, fix=_NOBODY.sub("if nobody", leak.fix)))
    leaks = list(waiting)
    for straggler in left:
        if isinstance(straggler, Parked) or straggler.covered_by(leaks):
            continue
        if strict or straggler.serves() is None:
            leaks.append(straggler.leak(seen_seconds.get(straggler.identity, 0.0)))
    return leaks


def verdicts(stragglers: Sequence[Parked]) -> dict[Hashable, Verdict]:
    """Return a verdict for each of ``stragglers`` that waits for something in this process."""
    if not any(straggler.awaited() is not None for straggler in stragglers):
        return {}
    with Memory() as memory:
        obstacle = _obstacle(memory)
        if obstacle is not None:
            return {s.identity: Verdict(False, obstacle) for s in stragglers if s.awaited() is not None}
        return _verdicts(stragglers, memory)


def _verdicts(stragglers: Sequence[Parked], memory: Memory) -> dict[Hashable, Verdict]:
    gc.collect()  # what is garbage may wake somebody as it goes; let it go first
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        first, second = _Round(stragglers, memory), _Round(stragglers, memory)
        agrees = first.summary() == second.summary()
        return {s.identity: v for s in stragglers if (v := second.verdict(s.identity, agrees=agrees)) is not None}
    finally:
        if was_enabled:
            gc.enable()


def _obstacle(memory: Memory) -> str | None:
    """Return what makes all proofs impossible in this process, if anything does."""
    if sys.implementation.name != "cpython" or not getattr(sys, "_is_gil_enabled", lambda: True)():
        return "a proof needs the reference counts of CPython with the GIL"
    if not memory.is_readable:
        return "a proof needs /proc/self/mem and CPython 3.11, 3.12 or 3.13"
    return None


@dataclass(slots=True)
class _Waiting:
    """A thread or task that waits without a timeout. Holds no reference to what it waits on."""

    owner: _Owner
    target: int
    credits: list[Credit] = field(default_factory=list)
    joins: int | None = None
    rlock_owner: int | None = None
    parts: set[int] = field(default_factory=set)
    position: tuple[object, ...] = ()


class _Round:
    """One search of memory, and the conclusions from it."""

    def __init__(self, stragglers: Sequence[Parked], memory: Memory) -> None:
        self._waiting: dict[_Owner, _Waiting] = {}
        self._asked: dict[Hashable, _Owner] = {}
        self._unseen: set[_Owner] = set()
        targets: list[Any] = []
        self._take_threads(targets, memory)
        self._take_tasks(stragglers, targets)
        counts = Counter(credit for waiting in self._waiting.values() for credit in waiting.credits)
        self._graph: Graph = look_behind(targets, counts)
        del targets
        self._alive = self._fixed_point()

    def _take_threads(self, targets: list[Any], memory: Memory) -> None:
        """Take every thread that waits without a timeout, not only those asked about: one may wait for another."""
        for straggler in ThreadFinder().stragglers(None):
            self._asked[straggler.identity] = owner = ("thread", straggler.ident)
            target = straggler.awaited()
            if target is None:
                continue
            if not isinstance(target, threading.Thread) and not is_on_stack(target, straggler.frames[0], memory):
                self._unseen.add(owner)  # where it was looked for there is another by now, or it cannot be seen
                continue
            waiting = _Waiting(owner, id(target), credits_of(straggler.thread, straggler.frames, memory))
            waiting.position = tuple((id(frame.f_code), frame.f_lasti) for frame in straggler.frames)
            if isinstance(target, threading.Thread):
                waiting.joins = target.ident
            else:
                waiting.rlock_owner = _rlock_owner(target)
                targets.append(target)
            self._waiting[owner] = waiting

    def _take_tasks(self, stragglers: Sequence[Parked], targets: list[Any]) -> None:
        for straggler in stragglers:
            if isinstance(straggler, ThreadStraggler):
                continue
            target = straggler.awaited()
            if target is not None:
                owner = ("task", id(straggler))
                self._asked[straggler.identity] = owner
                self._waiting[owner] = _Waiting(owner, id(target), parts={id(part) for part in straggler.parts()})
                targets.append(target)

    def _fixed_point(self) -> set[_Owner]:
        """Return the threads and tasks that something alive may wake, once nothing changes any more."""
        if not self._graph.complete:
            return set(self._waiting)
        alive: set[_Owner] = set()
        reached = self._graph.reached_from({*self._graph.roots, *self._graph.callbacks})
        while fresh := [w for o, w in self._waiting.items() if o not in alive and self._may_wake(w, reached, alive)]:
            held = {credit for waiting in fresh for credit in waiting.credits}
            sources = [i for i, keys in self._graph.credits.items() if not held.isdisjoint(keys)]
            reached |= self._graph.reached_from(sources)
            alive.update(waiting.owner for waiting in fresh)
        return alive

    def _may_wake(self, waiting: _Waiting, reached: set[int], alive: set[_Owner]) -> bool:
        if waiting.joins is not None:
            joined = ("thread", waiting.joins)
            return joined not in self._waiting or joined in alive
        if waiting.rlock_owner is not None and ("thread", waiting.rlock_owner) in self._waiting:
            return ("thread", waiting.rlock_owner) in alive  # nobody else is allowed to release it
        return waiting.target in reached or self._may_be_cleaned_up(waiting)

    def _may_be_cleaned_up(self, waiting: _Waiting) -> bool:
        """Whether garbage that runs code when it is collected can reach what it waits on; see ``cleanup``."""
        behind = self._graph.reaching(waiting.target)
        return bool(behind & self._graph.tasks) and bool(behind & self._graph.cleanup - waiting.parts)

    def summary(self) -> tuple[object, ...]:
        """Return the facts in which a second search must agree with this one."""
        positions = {owner: (w.target, w.position, w.joins) for owner, w in self._waiting.items() if w.target}
        return (positions, self._alive, set(self._graph.roots), self._graph.complete)

    def verdict(self, identity: Hashable, *, agrees: bool) -> Verdict | None:
        """Return the verdict on one that waits without a timeout; None for any other."""
        owner = self._asked.get(identity)
        if owner in self._unseen:
            return Verdict(False, "it cannot be seen for certain which object it waits on")
        return self._verdict(owner, agrees=agrees) if owner is not None and owner in self._waiting else None

    def _verdict(self, owner: _Owner, *, agrees: bool) -> Verdict:
        waiting = self._waiting[owner]
        if not self._graph.complete:
            return Verdict(False, "too much refers to what it waits on for all of it to be looked at")
        behind = self._graph.reaching(waiting.target)
        holders = tuple(self._holders(waiting, behind))
        what = "what it waits on can be reached" if waiting.joins is None else "the thread it joins can be woken"
        if owner in self._alive:
            # A module that only keeps the task itself, so that it is not collected, brings it no work.
            by_work = self._graph.reaching(waiting.target, waiting.parts)
            names = [self._graph.roots[i] for i in by_work if self._graph.roots.get(i)]
            if owner[0] == "task":  # the context it is in ends with whoever made it
                names = [name for name in names if name not in self._graph.context_variables]
            module = next((name for name in names if not is_of_a_test_runner(name)), None)
            by = ", ".join(holders) or "somebody who cannot be named"
            if not behind & self._graph.roots.keys() and self._may_be_cleaned_up(waiting):
                return Verdict(False, "code that runs when it is dropped may wake it", holders)
            return Verdict(False, f"{what} from outside, by {by}", holders, module)
        if not agrees:
            return Verdict(False, "what it waits on was being changed while it was looked at", holders)
        others = self._companions(waiting, behind)
        only = f"only by itself and by {' and '.join(others)}, stuck as well" if others else "by nobody but itself"
        return Verdict(True, f"{what} {only}", holders)

    def _companions(self, waiting: _Waiting, behind: set[int]) -> list[str]:
        """Name the other waiting ones that can reach what it waits on."""
        held = {credit for i in behind for credit in self._graph.credits.get(i, ())}
        others = [o for o, other in self._waiting.items() if o != waiting.owner and not held.isdisjoint(other.credits)]
        if waiting.joins is not None:
            others.append(("thread", waiting.joins))
        names = [f"thread {_thread_name(ident)!r}" for kind, ident in others if kind == "thread"]
        return names if len(names) <= _MOST_HOLDERS else [f"{len(names)} other threads"]

    def _holders(self, waiting: _Waiting, behind: set[int]) -> list[str]:
        """Name who holds what it waits on, and is not stuck as well: globals of modules, variables of functions."""
        context = self._graph.context_variables
        named = [
            name if name in context else f"the module global {name}"
            for i, name in self._graph.roots.items()
            if i in behind and name
        ]
        stuck = {ident for kind, ident in self._waiting if kind == "thread"} - {
            ident for kind, ident in self._alive if kind == "thread" and (kind, ident) != waiting.owner
        }
        return named + _variables_that_are(behind, stuck)


_RUNNERS = ("_pytest", "pluggy", "queue", "threading")  # hold what they run, and tell nobody anything
_NOBODY = re.compile("^nobody")  # is known for certain of the proven only
_OWNER = re.compile(r"\bowner=(\d+)\b")


def _rlock_owner(lock: object) -> int | None:
    """Return the ident of the thread that holds an RLock, which only its repr tells."""
    if type(lock).__name__ != "RLock":
        return None
    found = _OWNER.search(repr(lock))
    return int(found[1]) or None if found else None


_MOST_HOLDERS = 3


def _thread_name(ident: int) -> str:
    thread = threading._active.get(ident)  # type: ignore[attr-defined]
    return thread.name if thread is not None else str(ident)


def _variables_that_are(ids: set[int], but_not_in: set[int]) -> list[str]:
    """Name the variables of active functions that hold one of ``ids``, except in those threads."""
    found: dict[str, None] = {}
    for ident, frame in running_frames():
        package = (frame.f_globals.get("__name__") or "").partition(".")[0]
        if ident in but_not_in or package in _RUNNERS:
            continue
        values = variables(frame)
        for name in own_names(frame):
            if name in values and id(values[name]) in ids:
                found[f"the variable {name!r} of {where(frame)} (thread {_thread_name(ident)!r})"] = None
    return list(found)[:_MOST_HOLDERS]
