"""``penstock cp``: run the copy, report how it went, choose the exit code."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from penstock import api
from penstock.cli.exit_codes import CLOSED_STDOUT, FAILED, OK, USAGE, code_for, code_for_signal
from penstock.cli.redaction import Redactor
from penstock.cli.request import plan_of, redactor_of
from penstock.cli.signals import Interruptible
from penstock.cli.terminal import Terminal, error_to_dict
from penstock.errors import ConfigurationError
from penstock.report import Report

__all__ = ["run"]


def run(arguments: argparse.Namespace) -> int:
    """Run ``penstock cp`` with the parsed arguments; return the exit code."""
    redact = redactor_of(arguments)
    terminal = Terminal(
        redact, verbosity=arguments.verbose, quiet=arguments.quiet, as_json=arguments.progress == "json"
    )
    if (refusal := _summary_refusal(arguments)) is not None:
        terminal.error(ConfigurationError(refusal))
        return USAGE
    interruptible = Interruptible()
    with terminal.showing_log(hint=interruptible.hint):
        ending = _attempt(arguments, interruptible)
        _tell(ending, terminal)
        if arguments.summary is None:
            return ending.code
        return _write_summary(Path(arguments.summary), ending, redact, terminal)


@dataclass(frozen=True)
class _Ending:
    """The outcome of a copy: the exit code, the word for it, and the details to report."""

    code: int
    status: str
    text: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)
    error: Exception | None = None

    def to_dict(self) -> dict[str, object]:
        return {"status": self.status, "exit_code": self.code, **self.facts}


def _attempt(arguments: argparse.Namespace, interruptible: Interruptible) -> _Ending:
    try:
        with interruptible:
            progress = "none" if arguments.quiet else arguments.progress
            return _done(api.run(plan_of(arguments), progress=progress))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told in one line
        return _Ending(code_for(error), "failed", facts={"error": error_to_dict(error)}, error=error)
    return _stopped(interruptible.stopped_by)


def _done(report: Report) -> _Ending:
    code = FAILED if report.leaks else OK
    status = "skipped" if report.skipped else "leaked" if report.leaks else "ok"
    return _Ending(code, status, str(report), report.to_dict())


def _stopped(by: signal.Signals | None) -> _Ending:
    by = by or signal.SIGINT
    return _Ending(
        code_for_signal(by), "stopped", f"stopped by {by.name} before the copy was complete", facts={"signal": by.name}
    )


def _tell(ending: _Ending, terminal: Terminal) -> None:
    if ending.code == CLOSED_STDOUT:
        return  # quietly, as other programs do when their reader has seen enough
    elif ending.error is not None:
        terminal.error(ending.error)
    else:
        terminal.summary(ending.text, {"event": "done" if ending.code == OK else "stopped", **ending.to_dict()})


def _summary_refusal(arguments: argparse.Namespace) -> str | None:
    """Return why the summary cannot be written to its file, if so. Asked before copying: it might replace the data."""
    if arguments.summary is None:
        return None
    file = Path(arguments.summary)
    if "\0" in arguments.summary:
        return f"cannot write the summary {arguments.summary!r}: there is a NUL character in it, which no path can have"
    if arguments.summary == "-":
        return "--summary takes a file, not '-': standard output is for data; --progress json reports on standard error"
    if file.is_dir() or not file.absolute().parent.is_dir():
        return f"cannot write the summary {file}: {'it is a folder' if file.is_dir() else 'there is no such folder'}"
    for side, address in (("SRC", arguments.source), ("DST", arguments.destination)):
        if address != "-" and "\0" not in address and Path(address).resolve() == file.resolve():
            return f"cannot write the summary {file}: it is {side}, which it would replace"
    return None


def _write_summary(file: Path, ending: _Ending, redact: Redactor, terminal: Terminal) -> int:
    """Write the report and return the exit code. If that fails, so does the command, even after a good copy."""
    text = redact.json(ending.to_dict(), indent=2)
    try:
        file.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        terminal.error(ConfigurationError(f"cannot write the summary {file}: {error.strerror}"))
        return ending.code or FAILED
    return ending.code
