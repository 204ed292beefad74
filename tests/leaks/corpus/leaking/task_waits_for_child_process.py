"""A task waits for a child process that takes a minute."""

import asyncio
import os
import signal

from tests.leaks.corpus import Expected
from tests.leaks.corpus.tasks import until_waiting

# Not proven: the child will end, and its watcher wake the task.
LEAKS = [
    Expected(kind="task", name="runner", function="run"),
    Expected(kind="process", name="*sleep*"),
    Expected(kind="fd", optional=True),  # the descriptor of the child, where asyncio watches it by one
    Expected(kind="thread", name="asyncio-waitpid*", optional=True),  # or the thread that waits for it, on 3.11
]

children: list[int] = []


async def run(started: asyncio.Event) -> None:
    process = await asyncio.create_subprocess_exec("sleep", "60")
    children.append(process.pid)
    started.set()
    await process.wait()


async def program() -> None:
    started = asyncio.Event()
    runner = asyncio.create_task(run(started), name="runner")
    await started.wait()
    await until_waiting(runner)


def cleanup() -> None:
    os.kill(children[0], signal.SIGKILL)
