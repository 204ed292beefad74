"""A child process has ended long ago, and nobody asks how: it stays a zombie."""

import os
import shutil

from tests.leaks.corpus import Expected

LEAKS = [Expected(kind="process", fix="wait")]


def program() -> None:
    child = os.posix_spawn(shutil.which("true") or "/bin/true", ["true"], {})
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)  # until it has ended, without reaping it
