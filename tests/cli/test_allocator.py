"""Arrow's allocator: the frugal one where the process is ours, what somebody chose where somebody did."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
from penstock import cli

def main():
    import pyarrow

    print(pyarrow.default_memory_pool().backend_name, flush=True)
    return 0

cli.main = main
cli.run_and_exit()
"""


@pytest.mark.skipif(sys.platform != "linux" or os.uname().machine != "x86_64", reason="Arrow's wheels differ elsewhere")
@pytest.mark.parametrize(("chosen", "used"), [(None, "jemalloc"), ("system", "system")])
def test_the_command_takes_the_frugal_allocator(chosen: str | None, used: str) -> None:
    """Unless the variable is set."""
    environment = {name: value for name, value in os.environ.items() if name != "ARROW_DEFAULT_MEMORY_POOL"}
    if chosen is not None:
        environment["ARROW_DEFAULT_MEMORY_POOL"] = chosen
    ended = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == (f"{used}\n", "")
