"""Find asyncio tasks that are not done, of every event loop in the process, running, stopped or closed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from types import FunctionType
from typing import Any
from weakref import ref

from penstock.leaks._finders.task_straggler import TaskStraggler
from penstock.leaks._looking.weaksets import references, remembered
from penstock.leaks._noting.origins import OwnWeakSet, notes
from penstock.leaks._straggler import Verdict

__all__ = ["AsyncioTaskStraggler", "TaskFinder"]

_PENDING_FIX = "it has not ended: await it, or cancel it and await that, before leaving (asyncio.TaskGroup does both)"
_CLOSED_FIX = "cancel it and await that before its event loop is closed, as asyncio.run() does"
_IDLE_FIX = "its event loop does not run any more: run the loop until the task is done, or cancel it, before leaving"


# What waits for several tasks, and is told of the end of each.
_GROUPS = frozenset({"TaskGroup", "_AsCompletedIterator"})


class TaskFinder:
    """Finds asyncio tasks. Does not import asyncio: if it is not loaded, there are none."""

    def baseline(self) -> OwnWeakSet:
        """Return the tasks there are."""
        return remembered(_all_tasks())

    def stragglers(self, since: OwnWeakSet | None) -> list[AsyncioTaskStraggler]:
        """Return the tasks made since then that are not done, except the one that checks and those that wait for it."""
        fresh = _all_tasks() if since is None else _all_tasks() - references(since)
        if not fresh:
            return []
        tasks = [task for reference in fresh if (task := reference()) is not None and not task.done()]
        if tasks:
            asking = {id(task) for task in _waiting_for(_current_task())}
            tasks = [task for task in tasks if id(task) not in asking]
        return [AsyncioTaskStraggler(task) for task in tasks]


def _all_tasks() -> frozenset[ref[Any]]:
    tasks = sys.modules.get("asyncio.tasks")
    if tasks is None:
        return frozenset()
    found: frozenset[ref[Any]] = frozenset()
    for name in ("_scheduled_tasks", "_all_tasks"):  # the latter up to 3.11
        weak = getattr(tasks, name, None)
        if weak is not None:
            found |= references(weak)
    # Tasks in their eager first step; they are in no other set until they are suspended for the first time.
    eager = {ref(task) for task in tuple(getattr(tasks, "_eager_tasks", ()))}
    if sys.version_info >= (3, 14):
        eager |= {ref(task) for task in _tasks_of_known_loops(tasks)}
    return found | eager if eager else found


def _tasks_of_known_loops(tasks: Any) -> Iterator[Any]:
    """Yield tasks where asyncio keeps its own to itself (3.14): those of this loop, and of loops of noted tasks."""
    noted = [thing for reference in notes.keyrefs() if isinstance(thing := reference(), tasks.Task)]
    running = sys.modules["asyncio"]._get_running_loop()
    for loop in {running, *(task.get_loop() for task in noted)} - {None}:
        yield from tasks.all_tasks(loop)


def _current_task() -> Any | None:
    asyncio = sys.modules["asyncio"]
    loop = asyncio._get_running_loop()
    return asyncio.current_task(loop) if loop is not None else None


def _waiting_for(task: Any | None) -> list[Any]:
    """Return ``task`` and the tasks that wait for it to end, directly or through gather() and the like."""
    waiting = [task] if task is not None else []
    for future in waiting:  # grows during the loop
        for callback, *_ in getattr(future, "_callbacks", None) or ():
            waiting += (other for other in _futures_behind(callback) if not any(other is known for known in waiting))
    return waiting


def _futures_behind(callback: Any) -> Iterator[Any]:
    """Yield the futures and tasks that a callback of another one may wake.

    It is a method of the waiting task, or a function that shares variables with whatever waits: gather(), wait(),
    as_completed(), shield() and the task groups are made of those.
    """
    for thing in _operands(callback):
        yield from _futures_in(thing)
        if type(thing).__name__ in _GROUPS:
            for value in tuple(getattr(thing, "__dict__", {}).values()):
                yield from _futures_in(value)


def _futures_in(thing: Any) -> Iterator[Any]:
    asyncio = sys.modules["asyncio"]
    if isinstance(thing, asyncio.Future):
        yield thing
    elif isinstance(thing, asyncio.Queue):
        yield from tuple(thing._getters)


def _operands(callback: Any) -> Iterator[Any]:
    if isinstance(callback, partial):
        yield from callback.args
        yield from _operands(callback.func)
    elif isinstance(callback, FunctionType):
        for cell in callback.__closure__ or ():
            try:
                yield cell.cell_contents
            except ValueError:  # a variable without a value
                continue
    else:
        yield getattr(callback, "__self__", None)


class AsyncioTaskStraggler(TaskStraggler):
    """An asyncio task that is not done."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """The name given to ``create_task``, or asyncio's own such as Task-7."""
        return str(self.task.get_name())

    def coroutine(self) -> Any:
        """Return the coroutine it runs."""
        return self.task.get_coro()

    def awaited(self) -> Any | None:
        """Return the future it is suspended on; None when it runs, or is about to.

        That is not all that can wake it: whoever holds the task can cancel it.
        """
        future = getattr(self.task, "_fut_waiter", None)
        return future if future is not None and not future.done() else None

    def is_suspended(self) -> bool:
        """Whether it waits for a future."""
        return self.awaited() is not None

    def certain(self) -> Verdict | None:
        """Return a verdict where no search is needed: a closed loop runs nothing any more."""
        loop = self.task.get_loop()
        base = sys.modules["asyncio"].BaseEventLoop
        # Of other kinds of loop it is not known that closing them is for good.
        if isinstance(loop, base) and base.is_closed(loop):
            return Verdict(True, "its event loop is closed")
        return None

    def pending_fix(self) -> str:
        """Return what to do about it when it is not known what it waits for, or does not matter."""
        if self.certain() is not None:
            return _CLOSED_FIX
        return _PENDING_FIX if self.task.get_loop().is_running() else _IDLE_FIX
