"""Runs the real `penstock cp`, each time in a process group of its own, and keeps what came of it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

PENSTOCK = Path(sys.executable).with_name("penstock")
SETTINGS = ("--max-memory", "32MiB", "--progress", "none")
BLOCK_BYTES = 256 * 1024
OTHER_PEOPLES = ("AWS_", "PG")  # variables that would lead the demo to somebody's own servers


@dataclass(frozen=True)
class Ended:
    """How one command ended."""

    code: int
    words: str
    report: dict[str, Any]
    stdout_bytes: int
    stdout_sha256: str

    @property
    def peak_memory_bytes(self) -> int:
        return int(self.report["peak_memory_bytes"])


@dataclass
class Running:
    """A command at work."""

    process: subprocess.Popen[bytes]
    _summary: Path

    def interrupt(self) -> None:
        """Do what Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)

    def wait(self) -> Ended:
        """Read its output to the end, and wait for its own."""
        assert self.process.stdout
        assert self.process.stderr
        size_bytes, sha256 = _count(self.process.stdout)
        words = self.process.stderr.read().decode().strip()
        return Ended(self.process.wait(), words, json.loads(self._summary.read_text()), size_bytes, sha256)


@dataclass
class Commands:
    """Starts commands in a folder, which is also where they put temporary files.

    Attributes:
        groups: the process group of each command that was started.
        left_inside: what commands found in themselves, when they were done, that should have ended.
    """

    folder: Path
    variables: dict[str, str]
    groups: list[int] = field(default_factory=list)
    left_inside: list[str] = field(default_factory=list)

    def run(self, *arguments: str) -> Ended:
        """Run ``penstock cp ARGUMENTS`` to its end."""
        with self.running(*arguments) as command:
            ended = command.wait()
        self.left_inside += ended.report.get("leaks", [])
        return ended

    @contextlib.contextmanager
    def running(self, *arguments: str) -> Iterator[Running]:
        """Run ``penstock cp ARGUMENTS``; a block that fails kills it, any other waits for it."""
        summary = self.folder / "summary.json"
        with self._start([PENSTOCK, "cp", *arguments, *SETTINGS, "--summary", summary]) as process:
            try:
                yield Running(process, summary)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        summary.unlink(missing_ok=True)

    def _start(self, command: list[str | Path]) -> subprocess.Popen[bytes]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(OTHER_PEOPLES)}
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env={**kept, **self.variables, "TMPDIR": str(self.folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.groups.append(process.pid)
        return process


def _count(stream: IO[bytes]) -> tuple[int, str]:
    size_bytes, digest = 0, hashlib.sha256()
    while block := stream.read(BLOCK_BYTES):
        size_bytes += len(block)
        digest.update(block)
    return size_bytes, digest.hexdigest()
