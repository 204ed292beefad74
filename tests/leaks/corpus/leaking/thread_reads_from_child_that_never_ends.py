"""A thread reads a child's output to its end, and the child, whose input nobody closes, never ends."""

import os
import signal
import subprocess
import threading

from tests.leaks.corpus import Expected, until_parked

# The thread is not proven: another process holds the other end of its pipe.
LEAKS = [
    Expected(kind="thread", name="reader", function="read_all"),
    Expected(kind="process", name="*cat*"),
    Expected(kind="fd", optional=True),  # the two pipes, which the thread holds
    Expected(kind="fd", optional=True),
]

children: list[int] = []


def read_all() -> None:
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    children.append(process.pid)
    assert process.stdout is not None
    for _line in process.stdout:
        pass


def program() -> None:
    reader = threading.Thread(target=read_all, name="reader", daemon=True)
    reader.start()
    until_parked(reader)


def cleanup() -> None:
    os.kill(children[0], signal.SIGKILL)
