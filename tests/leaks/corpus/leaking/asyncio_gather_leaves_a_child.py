"""``gather`` raises the first failure and leaves the other children running; nobody cancels them.

The behaviour the documentation of ``asyncio.gather`` describes, and the reason for ``asyncio.TaskGroup``.
"""

import asyncio
import contextlib
import sys

from tests.leaks.corpus import Expected
from tests.leaks.corpus.tasks import until_waiting

# On 3.13 a dict that vars() has made of an object's attributes hides the reference it has to them.
PROVEN = True if sys.version_info < (3, 13) else None
LEAKS = [Expected(kind="task", proven=PROVEN, name="waiter", function="wait_for_news", blocked_on="Event")]


async def fail() -> None:
    raise ConnectionError


async def wait_for_news(news: asyncio.Event) -> None:
    await news.wait()


async def program() -> None:
    waiter = asyncio.create_task(wait_for_news(asyncio.Event()), name="waiter")
    with contextlib.suppress(ConnectionError):
        await asyncio.gather(fail(), waiter)
    await until_waiting(waiter)
