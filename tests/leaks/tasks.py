"""Bring asyncio tasks to where they wait, and look at them there."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from penstock.leaks import trace_starts
from penstock.leaks._finders.tasks import AsyncioTaskStraggler, TaskFinder
from penstock.leaks._report.model import Leak
from tests.core.tasks import until

__all__ = [
    "FINDER",
    "LONG_SECONDS",
    "Call",
    "await_future",
    "cancelled",
    "found_names",
    "get",
    "leak_of",
    "settle",
    "sleep",
    "waiting",
]

Call = Callable[[], Coroutine[Any, Any, object]]

FINDER = TaskFinder()
LONG_SECONDS = 60.0
"""Longer than any test takes."""

_ROUNDS = 20


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(_ROUNDS):
        await asyncio.sleep(0)


async def cancelled(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and see them end."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def waiting(call: Call, *, name: str = "waiter") -> AsyncIterator[AsyncioTaskStraggler]:
    """Run ``call`` in a task until it waits; give what the finder says of that task."""
    before = FINDER.baseline()
    task = asyncio.create_task(call(), name=name)
    try:
        await until(lambda: task.done() or getattr(task, "_fut_waiter", None) is not None)
        await settle()
        assert not task.done(), f"it ended instead of waiting: {task!r}"
        yield next(straggler for straggler in FINDER.stragglers(before) if straggler.task is task)
    finally:
        others = [straggler.task for straggler in FINDER.stragglers(before)]
        await cancelled(task, *others)


def leak_of(call: Call) -> Leak:
    """Run ``call`` in a task of a loop of its own, and describe it where it waits."""

    async def main() -> Leak:
        async with waiting(call) as straggler:
            return straggler.leak(0.25)

    with trace_starts():
        return asyncio.run(main())


def found_names(since: Any) -> set[str]:
    """The names of the tasks that are found."""
    return {straggler.name for straggler in FINDER.stragglers(since)}


async def get() -> None:
    """Get from a queue that nobody puts into."""
    await asyncio.Queue[int]().get()


async def sleep() -> None:
    """Sleep longer than any test takes."""
    await asyncio.sleep(LONG_SECONDS)


async def await_future() -> None:
    """Await a future that nobody resolves."""
    await asyncio.get_running_loop().create_future()
