"""Find trio tasks that are still alive. Only a check that runs inside trio can see the tasks of the run.

A nursery waits for each of them, so none can outlive its nursery. But it can outlive a function that was given a nursery,
or a test.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from penstock.leaks._finders.loops import in_trio
from penstock.leaks._finders.task_straggler import TaskStraggler
from penstock.leaks._noting.origins import OwnWeakSet

__all__ = ["TrioTaskFinder", "TrioTaskStraggler"]

_PENDING_FIX = "cancel the cancel_scope of its nursery, or let it end, before leaving"


class TrioTaskFinder:
    """Finds trio tasks. Does not import trio: if it is not loaded, there are none."""

    def baseline(self) -> OwnWeakSet:
        """Return the tasks there are."""
        return OwnWeakSet(_tasks())

    def stragglers(self, since: OwnWeakSet | None) -> list[TrioTaskStraggler]:
        """Return the tasks started since then, except the one that checks and those whose nurseries it is in."""
        if not in_trio():
            return []
        asking = {id(task) for task in _ancestry(_current_task())}
        fresh = (task for task in _tasks() if since is None or task not in since)
        return [TrioTaskStraggler(task) for task in fresh if id(task) not in asking]


def _tasks() -> Iterator[Any]:
    """Yield the tasks of this run, the system tasks that users and libraries have spawned among them."""
    if not in_trio():
        return
    root = sys.modules["trio"].lowlevel.current_root_task()
    # In the first nursery of the root task is only the task that brings in what other threads hand over: trio's own.
    nurseries = [*root.child_nurseries[1:]]
    for nursery in nurseries:  # grows during the loop
        for task in nursery.child_tasks:
            yield task
            nurseries.extend(task.child_nurseries)


def _current_task() -> Any | None:
    try:
        return sys.modules["trio"].lowlevel.current_task()
    except RuntimeError:  # in an instrument, or a callback
        return None


def _ancestry(task: Any | None) -> Iterator[Any]:
    while task is not None:
        yield task
        nursery = task.parent_nursery
        task = nursery.parent_task if nursery is not None else None


class TrioTaskStraggler(TaskStraggler):
    """A trio task that has not ended."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """The name given to ``start_soon``, or that of the function."""
        return str(self.task.name)

    def coroutine(self) -> Any:
        """Return the coroutine it runs."""
        return self.task.coro

    def awaited(self) -> None:
        """Return None: trio's run can reach every task and cancel it, so nothing can be proven."""
        return

    def is_suspended(self) -> bool:
        """Whether it waits for something; trio knows by whether it has been given what to go on with."""
        return getattr(self.task, "_next_send_fn", None) is None

    def pending_fix(self) -> str:
        """Return what to do about it if it is unknown what it waits for."""
        return _PENDING_FIX
