"""A task is kept in a set, as the documentation of ``create_task`` advises, and waits for what nobody will send.

That a module holds the task makes it no service: nobody but the task knows the queue it waits at.
"""

import asyncio

from tests.leaks.corpus import Expected
from tests.leaks.corpus.tasks import until_waiting

# Not proven: whoever finds the set can cancel the task.
LEAKS = [Expected(kind="task", name="consumer", function="consume", blocked_on="Queue")]

background_tasks: set["asyncio.Task[None]"] = set()


async def consume(inbox: asyncio.Queue[int]) -> None:
    while True:
        await inbox.get()


async def program() -> None:
    consumer = asyncio.create_task(consume(asyncio.Queue()), name="consumer")
    background_tasks.add(consumer)
    consumer.add_done_callback(background_tasks.discard)
    await until_waiting(consumer)
