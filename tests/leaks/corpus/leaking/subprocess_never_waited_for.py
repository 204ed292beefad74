"""A helper process is started and forgotten; it runs on after the function that needed it."""

import os
import signal
import subprocess

from tests.leaks.corpus import Expected

LEAKS = [Expected(kind="process", name="*sleep*", fix="wait")]

children: list[int] = []


def program() -> None:
    children.append(subprocess.Popen(["sleep", "60"]).pid)


def cleanup() -> None:
    os.kill(children[0], signal.SIGKILL)
