"""What a check needs from whichever event loop it runs in. Imports neither asyncio nor trio."""

from __future__ import annotations

import sys

__all__ = ["in_trio", "pause_in_loop"]


async def pause_in_loop(seconds: float) -> None:
    """Suspend the running asyncio or trio task for ``seconds``, so that the other tasks of its loop go on.

    Cancelled as the loop's own ``sleep`` is.

    Raises:
        RuntimeError: neither of the two runs here.
    """
    if in_trio():
        await sys.modules["trio"].sleep(seconds)
        return
    asyncio = sys.modules.get("asyncio")
    if asyncio is None or asyncio._get_running_loop() is None:
        raise RuntimeError("a check in a task needs a running asyncio or trio event loop; elsewhere, use find_leaks()")
    await asyncio.sleep(seconds)


def in_trio() -> bool:
    """Whether this thread is in a trio run."""
    trio = sys.modules.get("trio")
    if trio is None:
        return False
    try:
        trio.lowlevel.current_root_task()
    except RuntimeError:
        return False
    return True
