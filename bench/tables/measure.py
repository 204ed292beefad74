"""Run a command and measure all of it: seconds, memory and processor time of its whole process tree."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import psutil

__all__ = ["Measured", "measured"]

SAMPLE_SECONDS = 0.02
SAID_CHARACTERS = 2000


@dataclass(frozen=True)
class Measured:
    """One run of one command.

    Attributes:
        code: exit code.
        seconds: from start to exit.
        cpu_seconds: user and system time of the process and the children it waited for; of no server.
        peak_bytes: the largest sum of the resident memory of the process and all below it, looked at every 20 ms, or the
            kernel's own high-water mark of the process, if that is more. Pages that processes share count once for each.
            (``ru_maxrss`` would not do: it begins with what the parent had when it forked.)
        said: the end of what it wrote to standard error, for failures.
    """

    code: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    said: str


def measured(
    command: Sequence[str],
    environment: Mapping[str, str],
    stdout: Path | None,
    log: Path,
    patience_seconds: float = threading.TIMEOUT_MAX,
) -> Measured:
    """Run ``command`` to its end; its standard output goes to ``stdout``, or nowhere.

    After ``patience_seconds`` it is killed, and with it all that it started.
    """
    with Path(stdout or os.devnull).open("wb") as output, log.open("wb") as errors:
        started = perf_counter()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env={**os.environ, **environment},
            start_new_session=True,  # so that all it starts can be killed by the number of its group
        )
        impatient = threading.Timer(patience_seconds, _end_group, (process.pid,))
        tree = _Tree(process.pid)
        try:
            impatient.start()
            with tree:
                _pid, status, usage = os.wait4(process.pid, 0)
                seconds = perf_counter() - started
        finally:
            impatient.cancel()
            _end_group(process.pid)
        process.returncode = os.waitstatus_to_exitcode(status)
    said = log.read_text(encoding="utf-8", errors="replace").strip()[-SAID_CHARACTERS:]
    if seconds > patience_seconds:
        said = f"it was killed after {patience_seconds:g} s. {said}"
    return Measured(process.returncode, seconds, usage.ru_utime + usage.ru_stime, tree.peak_bytes, said)


def _end_group(group: int) -> None:
    """Kill a command and what it started: it takes too long, or has left something running, or nobody waits any more."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass  # nothing is left, as it should be


class _Tree:
    """Looks at a process and all below it every 20 ms, in a thread, while the ``with`` block runs."""

    def __init__(self, pid: int) -> None:
        self.peak_bytes = 0
        self._root = psutil.Process(pid)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory of the tree")

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *exc_info: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            self.peak_bytes = max(self.peak_bytes, self._resident(), self._high_water_mark())

    def _high_water_mark(self) -> int:
        try:
            status = Path(f"/proc/{self._root.pid}/status").read_text(encoding="utf-8")
        except OSError:
            return 0
        found = re.search(r"^VmHWM:\s*(\d+) kB", status, re.MULTILINE)
        return int(found[1]) * 1024 if found else 0

    def _resident(self) -> int:
        total = 0
        try:
            for process in [self._root, *self._root.children(recursive=True)]:
                total += process.memory_info().rss
        except psutil.NoSuchProcess:
            pass  # it ended while it was looked at: what has been seen before counts
        return total
