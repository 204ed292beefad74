"""Wait, in a program, until its asyncio tasks wait."""

from __future__ import annotations

import asyncio
import gc

__all__ = ["until_waiting"]

_ROUNDS = 20


async def until_waiting(*tasks: asyncio.Task[object]) -> None:
    """Let the loop go round until each of ``tasks`` has come to a wait that does not end, and check that it has.

    A task that nobody holds is garbage, for asyncio itself holds tasks weakly: the next collection of young objects
    ends it, with "Task was destroyed but it is pending!". So that a detector has something to find whatever it
    allocates, the tasks are made old objects, which only a full collection looks at.
    """
    for _ in range(_ROUNDS):
        await asyncio.sleep(0)
    assert not [task for task in tasks if task.done()]
    gc.collect()
