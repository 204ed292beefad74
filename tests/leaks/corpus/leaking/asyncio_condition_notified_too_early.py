"""The notification comes before anybody waits, and the waiter asks nothing before it waits.

GoKer's "missed signal" (``sync.Cond`` signalled before ``Wait``), with an asyncio condition.
"""

import asyncio

from tests.leaks.corpus import Expected
from tests.leaks.corpus.tasks import until_waiting

LEAKS = [Expected(kind="task", proven=True, name="waiter", function="wait_for_change", blocked_on="Condition")]


async def wait_for_change(changed: asyncio.Condition) -> None:
    async with changed:
        await changed.wait()


async def program() -> None:
    changed = asyncio.Condition()
    async with changed:
        changed.notify_all()
    waiter = asyncio.create_task(wait_for_change(changed), name="waiter")
    await until_waiting(waiter)
