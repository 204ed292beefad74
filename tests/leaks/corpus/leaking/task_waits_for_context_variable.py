"""A task waits for an event that its caller has put into a context variable, and can still find there."""

import asyncio
import contextvars

from tests.leaks.corpus import Expected
from tests.leaks.corpus.tasks import until_waiting

# Not proven: the caller's context holds the event.
LEAKS = [Expected(kind="task", name="waiter", function="wait_for_request")]

request_ended: contextvars.ContextVar[asyncio.Event] = contextvars.ContextVar("request_ended")


async def wait_for_request(ended: asyncio.Event) -> None:
    await ended.wait()


async def program() -> None:
    ended = asyncio.Event()
    waiter = asyncio.create_task(wait_for_request(ended), name="waiter")
    request_ended.set(ended)
    await until_waiting(waiter)
