"""The Go peer: built once from ``go/main.go`` (standard library only) when a toolchain is found, then called per sample."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from bench.registry import Contender

SOURCE = Path(__file__).parent / "go"


def contender(name: str, case: str, **options: int) -> Contender:
    """A contender that runs one case of the Go program; it does the same work and checks the same totals."""
    flags = [f"-{flag}={value}" for flag, value in options.items()]

    def run(count: int) -> float:
        command = [_program(), f"-case={case}", f"-count={count}", *flags]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise RuntimeError(f"the Go program failed: {done.stderr.strip()}")
        return int(done.stdout) / 1e9

    return Contender(name, run, unavailable)


def unavailable() -> str | None:
    """Why there are no Go figures, or None."""
    return None if shutil.which("go") else "no Go toolchain on PATH: https://go.dev/dl"


@functools.cache
def version() -> str | None:
    """For example ``go1.26.1``; None without a toolchain."""
    if unavailable():
        return None
    return subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=True).stdout.strip()


@functools.cache
def _program() -> str:
    """Build the program into a directory that goes away with this process. It needs no network."""
    folder = tempfile.mkdtemp(prefix="penstock-bench-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    program = str(Path(folder) / "peer")
    offline = {**os.environ, "GOTOOLCHAIN": "local", "GOPROXY": "off", "CGO_ENABLED": "0"}
    command = ["go", "build", "-o", program, "."]
    built = subprocess.run(command, cwd=SOURCE, env=offline, check=False, capture_output=True, text=True)
    if built.returncode:
        raise RuntimeError(f"go build failed: {built.stderr.strip()}")
    return program
