"""A supervisor lists the processes it started and never polls them: the ended one stays a zombie."""

import os
import subprocess

from tests.leaks.corpus import Expected

LEAKS = [Expected(kind="process", fix="wait")]

started: list[subprocess.Popen[bytes]] = []


def program() -> None:
    started.append(subprocess.Popen(["true"]))
    os.waitid(os.P_PID, started[0].pid, os.WEXITED | os.WNOWAIT)  # until it has ended, without reaping it
