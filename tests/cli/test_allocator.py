"""Arrow's allocator: the frugal one where the process is ours, what somebody chose where somebody did."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import os

from penstock import cli

def main():
    import pyarrow

    print(pyarrow.default_memory_pool().backend_name, os.environ.get("JE_ARROW_MALLOC_CONF"), flush=True)
    return 0

cli.main = main
cli.run_and_exit()
"""
VARIABLES = ("ARROW_DEFAULT_MEMORY_POOL", "JE_ARROW_MALLOC_CONF")
FRUGAL = "tcache:false,dirty_decay_ms:300,muzzy_decay_ms:0"


def started(*arguments: str, **chosen: str) -> str:
    """What Arrow has in the process of the command."""
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    command = [sys.executable, "-c", PROGRAM, *arguments]
    ended = subprocess.run(command, env={**environment, **chosen}, capture_output=True, text=True, check=True)
    assert ended.stderr == ""
    return ended.stdout.strip()


@pytest.mark.skipif(sys.platform != "linux" or os.uname().machine != "x86_64", reason="Arrow's wheels differ elsewhere")
def test_the_command_takes_the_frugal_allocator() -> None:
    """Unless a variable is set; and for a script that is looked at, it is the script's affair."""
    assert started("cp") == f"jemalloc {FRUGAL}"
    assert started("cp", ARROW_DEFAULT_MEMORY_POOL="system") == f"system {FRUGAL}"
    assert started("cp", JE_ARROW_MALLOC_CONF="dirty_decay_ms:0") == "jemalloc dirty_decay_ms:0"
    assert started("leaks", "script.py").split()[1] == "None"
