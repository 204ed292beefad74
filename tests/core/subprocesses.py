"""Run a program in an interpreter of its own, bounded in time; on a hang its threads' stacks are in the failure."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import penstock.errors

__all__ = ["run_python"]

_SOURCE_FOLDER = str(Path(penstock.errors.__file__).resolve().parents[1])

_PREAMBLE = "import faulthandler; faulthandler.dump_traceback_later({seconds}, exit=True)\n"


def run_python(program: str, *options: str, seconds: float = 20.0) -> subprocess.CompletedProcess[str]:
    """Run ``program`` and return what it printed; fail unless it ends by itself within ``seconds``."""
    code = _PREAMBLE.format(seconds=seconds) + textwrap.dedent(program)
    environment = {**os.environ, "PYTHONPATH": _SOURCE_FOLDER, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *options, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=seconds + 10,
        check=False,
    )
    assert "Timeout (" not in done.stderr, f"it hung:\n{done.stderr}"
    return done
