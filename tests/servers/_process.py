"""What every server in a process of its own needs: a port, a wait for readiness, a sure end."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.servers import Unavailable

__all__ = ["end_process", "free_port", "is_listening", "wait_until_ready"]

POLL_SECONDS = 0.01
LOG_TAIL_CHARACTERS = 2000


def free_port() -> int:
    """A TCP port of the loopback that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def is_listening(port: int) -> bool:
    """Whether somebody accepts connections on this port of the loopback."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def wait_until_ready(
    process: subprocess.Popen[bytes], ready: Callable[[], bool], *, log: Path, timeout: float = 60
) -> None:
    """Block until ``ready()`` holds.

    Raises:
        Unavailable: the process ended first, or ``timeout`` seconds passed; the message ends with its log.
    """
    deadline = time.monotonic() + timeout
    while not ready():
        if process.poll() is not None:
            raise Unavailable(f"{process.args!r} ended with {process.returncode}: {_tail(log)}")
        if time.monotonic() > deadline:
            raise Unavailable(f"{process.args!r} was not ready within {timeout:g} s: {_tail(log)}")
        time.sleep(POLL_SECONDS)


def end_process(
    process: subprocess.Popen[bytes], *, politely: signal.Signals = signal.SIGTERM, timeout: float = 10
) -> None:
    """End a process that we started: ask, wait ``timeout`` seconds, then kill. Safe on one that has ended."""
    if process.poll() is None:
        process.send_signal(politely)
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _tail(log: Path) -> str:
    try:
        return log.read_text(errors="replace")[-LOG_TAIL_CHARACTERS:].strip() or "(its log is empty)"
    except FileNotFoundError:
        return "(it wrote no log)"
