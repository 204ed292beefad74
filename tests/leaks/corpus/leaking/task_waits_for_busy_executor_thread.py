"""A task waits for a call in an executor's thread that takes a minute: both outlive their caller, both will end."""

import asyncio
import time

from tests.leaks.corpus import Expected
from tests.leaks.corpus.tasks import until_waiting

# Not proven: the thread runs, and will resolve the task's future.
LEAKS = [
    Expected(kind="task", name="report", function="make_report"),
    Expected(kind="thread", name="asyncio_*", function="compute"),
]


def compute() -> None:
    time.sleep(60)


async def make_report() -> None:
    await asyncio.to_thread(compute)


async def program() -> None:
    task = asyncio.create_task(make_report(), name="report")
    await until_waiting(task)
