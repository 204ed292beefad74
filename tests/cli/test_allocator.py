"""Allocators, Arrow's and that of C: frugal where the process is ours, what somebody chose where somebody did."""

from __future__ import annotations

import os
import platform
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
VARIABLES = (
    "ARROW_DEFAULT_MEMORY_POOL",
    "JE_ARROW_MALLOC_CONF",
    "MALLOC_ARENA_MAX",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TRIM_THRESHOLD_",
)
FRUGAL = "narenas:1,tcache:false,dirty_decay_ms:50,muzzy_decay_ms:0"

HEAPS = """
import ctypes
import threading

from penstock import cli

def main():
    together = threading.Barrier(4)

    def allocate():
        together.wait()
        held = [bytes(10_000) for _ in range(100)]
        together.wait()
        del held

    threads = [threading.Thread(target=allocate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    library = ctypes.CDLL(None)
    library.fdopen.restype = ctypes.c_void_p
    stream = ctypes.c_void_p(library.fdopen(1, b"w"))
    library.malloc_info(0, stream)
    library.fflush(stream)
    return 0

cli.main = main
cli.run_and_exit()
"""

KEPT = """
import re
from pathlib import Path

from penstock import cli

def resident():
    return int(re.search(r"VmRSS:\\s*([0-9]+)", Path("/proc/self/status").read_text())[1]) / 1024

def main():
    before = resident()
    largest = b"x" * (16 << 20)
    del largest
    blocks = [b"x" * (1 << 20) for _ in range(20)]
    del blocks
    print(round(resident() - before))
    return 0

cli.main = main
cli.run_and_exit()
"""


def started(*arguments: str, program: str = PROGRAM, **chosen: str) -> str:
    """What ``program`` says in the place of the command."""
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    command = [sys.executable, "-c", program, *arguments]
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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that has a heap for each thread")
def test_the_command_has_one_heap() -> None:
    """However many threads allocate; as many as there is memory for where a variable says so, or it is another's script."""
    assert started("cp", program=HEAPS).count("<heap nr=") == 1
    assert started("cp", program=HEAPS, MALLOC_ARENA_MAX="8").count("<heap nr=") > 1
    assert started("leaks", "script.py", program=HEAPS).count("<heap nr=") > 1


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other libraries have other limits")
def test_the_command_returns_memory() -> None:
    """Also after a large block was freed: 20 MiB in all that were used once are not kept, unless a variable says so."""
    assert int(started("cp", program=KEPT)) <= 3
    assert int(started("cp", program=KEPT, MALLOC_TRIM_THRESHOLD_=str(64 << 20))) >= 17
    assert int(started("leaks", "script.py", program=KEPT)) >= 17
