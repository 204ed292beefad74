"""Run one copy: in this process, or as the command in one of its own where a signal or a limit of the system is wanted."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import penstock
from penstock.cli.exit_codes import code_for
from tests.faults.faults import STALL_SECONDS, Fault, Given

__all__ = ["Ended", "run"]

SLOWLY = "1MiB"  # a second: slow enough for a signal or a deadline to come in the middle
DEADLINE_SECONDS = 1.0
DISK_BYTES = 2 << 20
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Ended:
    """How a copy ended: the exit code, and what it said."""

    code: int
    message: str


def run(source: Given, sink: Given, fault: Fault, variables: Any) -> Ended:
    """Copy, while ``fault`` happens.

    Args:
        source: where from.
        sink: where to.
        fault: what happens to it.
        variables: pytest's monkeypatch, for the environment of this process.
    """
    options: dict[str, Any] = {"max_memory": "32MiB", "stall_timeout": 30.0, **source.options, **sink.options}
    if fault is Fault.DEADLINE:
        options |= {"timeout": DEADLINE_SECONDS, "bwlimit": SLOWLY}
    elif fault in {Fault.STALLED_SOURCE, Fault.STALLED_SINK}:
        options |= {"stall_timeout": STALL_SECONDS}
    elif fault.is_signal:
        options |= {"bwlimit": SLOWLY}
    environment = {**source.environment, **sink.environment}
    streams = {source.stream, sink.stream} - {None}
    if streams or fault.is_signal or fault is Fault.DISK_FULL:
        return _in_a_process(source, sink, fault, options, environment)
    for name, value in environment.items():
        variables.setenv(name, value)
    try:
        report = penstock.copy(source.uri, sink.uri, **options)
    except Exception as error:
        return Ended(code_for(error), str(error))
    assert report.leaks == ()
    return Ended(0, str(report))


def _in_a_process(
    source: Given, sink: Given, fault: Fault, options: dict[str, Any], environment: dict[str, str]
) -> Ended:
    flags = [flag for name, value in options.items() for flag in _flags(name, value)]
    command = [sys.executable, "-W", "error", "-m", "penstock", "cp", source.uri, sink.uri, "--progress=json", *flags]
    process = subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL if source.stream is None else source.stream,
        stdout=sink.stream,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_limit_files if fault is Fault.DISK_FULL else None,  # noqa: PLW1509  the limit, and nothing else
    )
    for stream in (source.stream, sink.stream):
        if stream is not None:
            os.close(stream)  # the process has its own: now its neighbours see it end
    with process:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if fault.is_signal and _moves(line):
                process.send_signal(signal.SIGINT if fault is Fault.SIGINT else signal.SIGTERM)
                break
        lines += process.stderr.readlines()
        code = process.wait(PATIENCE_SECONDS)
    return Ended(code, _message("".join(lines)))


def _flags(name: str, value: Any) -> list[str]:
    flag = f"--{name.replace('_', '-')}"
    if isinstance(value, dict):
        return [f"{flag.removesuffix('s')}={each}={meant}" for each, meant in value.items()]
    return [f"{flag}={value}"]


def _limit_files() -> None:
    """No file may become larger than this: what a write gets from a full disk, without one."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (DISK_BYTES, DISK_BYTES))


def _moves(line: str) -> bool:
    """Whether a line of progress says that bytes have arrived at the sink."""
    return line.startswith("{") and json.loads(line).get("bytes", 0) > 0


def _message(output: str) -> str:
    """Return what was said besides progress."""
    events = [json.loads(line) if line.startswith("{") else {"message": line} for line in output.splitlines()]
    return "\n".join(str(event) for event in events if event.get("event") != "progress")
