"""What it costs to have penstock at all: import and ``--help``, each in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys
import time

from bench.registry import MILLISECONDS_EACH, Bar, Contender, Row, Run, needs, repeated


def imported(statement: str) -> Run:
    """Seconds the statement takes inside a fresh interpreter; starting that interpreter does not count."""
    program = f"import time; start = time.perf_counter(); {statement}; print(time.perf_counter() - start)"
    return repeated(lambda: float(_python("-c", program)))


def process(*arguments: str) -> Run:
    """Seconds from starting a fresh interpreter with these arguments until it has ended."""

    def once() -> float:
        started_at = time.perf_counter()
        _python(*arguments)
        return time.perf_counter() - started_at

    return repeated(once)


def _python(*arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], check=False, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return done.stdout


IMPORT = Row(
    name="import",
    title="import in a fresh interpreter",
    unit=MILLISECONDS_EACH,
    count=3,
    quick_count=1,
    contenders=(
        Contender("import penstock", imported("import penstock")),
        Contender("import penstock; penstock.pipe", imported("import penstock; penstock.pipe")),
        Contender("import asyncio", imported("import asyncio")),
        Contender("import anyio", imported("import anyio"), needs("anyio")),
        Contender("import trio", imported("import trio"), needs("trio")),
    ),
    bars=(Bar("import penstock", "<=", 30),),
)

HELP = Row(
    name="help",
    title="penstock --help, the whole process",
    unit=MILLISECONDS_EACH,
    count=3,
    quick_count=1,
    contenders=(
        Contender("python -m penstock --help", process("-m", "penstock", "--help")),
        Contender("python -c pass", process("-c", "pass")),
    ),
    bars=(Bar("python -m penstock --help", "<=", 250),),
)

ROWS = (IMPORT, HELP)
