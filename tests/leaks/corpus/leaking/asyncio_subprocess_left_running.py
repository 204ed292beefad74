"""A child process is started through asyncio, and nobody waits for it or ends it."""

import asyncio
import os
import signal

from tests.leaks.corpus import Expected

LEAKS = [
    Expected(kind="process", fix="wait"),
    Expected(kind="fd", optional=True),  # its standard output
    Expected(kind="fd", optional=True),  # the descriptor of the child, where asyncio watches it by one
    Expected(kind="thread", name="asyncio-waitpid*", optional=True),  # or the thread that waits for it, on 3.11
]

children: list[int] = []


async def program() -> None:
    process = await asyncio.create_subprocess_exec("sleep", "60", stdout=asyncio.subprocess.PIPE)
    children.append(process.pid)


def cleanup() -> None:
    for child in children:
        os.kill(child, signal.SIGKILL)
