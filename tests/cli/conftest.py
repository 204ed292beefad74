"""Run the real command in a process of its own."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest

SOURCE_TREE = Path(__file__).resolve().parents[2] / "src"
PATIENCE_SECONDS = 20.0

# A program with a source that no cancel reaches, ``stuck://``: it sleeps in a foreign call. It ends with ``sys.exit(main())``.
STUCK_SOURCE = """
import contextlib, os, sys, time
from penstock import connectors
from penstock.cli import main

class Stuck:
    display_name, byte_formats, rows_read = "stuck", frozenset({"csv"}), None
    @contextlib.contextmanager
    def open_bytes(self, format_name):
        time.sleep(600)
        yield iter(())
    def open_batches(self):
        raise NotImplementedError

connectors.register_connector("stuck", "__main__")
def source(request):
    return Stuck()
"""
#: A query that never ends, and one that does not even give a first row.
ENDLESS = "with recursive n(i) as (select 1 union all select i + 1 from n) select i, 'some words' as words from n"
SILENT = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"
#: Fails at row 200,000 of 300,000: the absolute value of the smallest integer does not exist.
FAILING = "select case when id = 200000 then abs(-9223372036854775808) else id end as n, name from orders"


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    stdout: bytes
    stderr: str

    @property
    def line(self) -> str:
        """Standard error, which must be one line."""
        lines = self.stderr.splitlines()
        assert len(lines) == 1, self.stderr
        return lines[0]


@dataclass
class Penstock:
    """The command, in a folder of its own, with no connection variables but those given."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    _started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __call__(self, *arguments: str, stdin: bytes = b"", **variables: str) -> Result:
        """Run it to its end."""
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "penstock", *arguments],
            cwd=self.folder,
            env={**self.environment, **variables},
            input=stdin,
            capture_output=True,
            timeout=60,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr.decode())

    def start(
        self,
        *arguments: str,
        stdin: Any = subprocess.DEVNULL,
        program: Sequence[str] = ("-m", "penstock"),
        **variables: str,
    ) -> subprocess.Popen[bytes]:
        """Start it, or a ``program`` that calls it; the caller waits for it."""
        process = subprocess.Popen(
            [sys.executable, "-W", "error", *program, *arguments],
            cwd=self.folder,
            env={**self.environment, **variables},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._started.append(process)
        return process

    def end_all(self) -> None:
        """Kill what a failed test left running."""
        for process in self._started:
            process.kill()
            process.communicate()

    def files(self) -> set[str]:
        """What is in its folder now, but for the database."""
        return {path.name for path in self.folder.iterdir()} - {"shop.db"}

    def wait_until(self, condition: Callable[[], object]) -> None:
        """Wait for something that the command does, looking every few milliseconds."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"it did not happen; there are {self.files()}"
            time.sleep(0.005)


def clean_environment(variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Leave out what would connect a test to somebody's own servers."""
    kept = {name: value for name, value in variables.items() if not name.startswith(("PG", "AWS_"))}
    return {**kept, "PYTHONPATH": str(SOURCE_TREE)}


def read_some(stream: IO[bytes] | None) -> bytes:
    """Read one byte: the command is at work."""
    assert stream is not None
    return stream.read(1)


def finish(process: subprocess.Popen[bytes]) -> Result:
    """Wait for the end of a started command."""
    stdout, stderr = process.communicate(timeout=PATIENCE_SECONDS)
    return Result(process.returncode, stdout, stderr.decode())


@pytest.fixture
def penstock(tmp_path: Path) -> Iterator[Penstock]:
    """The command in an empty folder."""
    command = Penstock(tmp_path, clean_environment())
    yield command
    command.end_all()


@pytest.fixture
def shop(penstock: Penstock) -> Penstock:
    """The command in a folder with a database of 300,000 orders."""
    with closing(sqlite3.connect(penstock.folder / "shop.db")) as connection, connection:
        connection.execute("create table orders (id integer primary key, name text, price real)")
        connection.execute(
            "with recursive n(i) as (select 1 union all select i + 1 from n limit 300000) "
            "insert into orders select i, 'item ' || i, i / 4.0 from n"
        )
    return penstock
