"""``penstock leaks``: run a program, report what it left behind, choose the exit code."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TextIO

from penstock.cli.exit_codes import FAILED, OK, USAGE
from penstock.cli.redaction import Redactor
from penstock.errors import ConfigurationError
from penstock.flow.units import parse_duration
from penstock.leaks._faces.program import Program
from penstock.leaks._faces.script import ScriptEnd, run_program
from penstock.leaks._report.model import LeakReport
from penstock.leaks._report.text import WIDTH, report_text
from penstock.leaks._rules import rule_of

__all__ = ["run"]

_STDOUT, _STDERR = 1, 2
_COLOURS = {"proven": "1;31", "suspected": "33", "label": "2", "fix": "1"}


def run(arguments: argparse.Namespace) -> int:
    """Run ``penstock leaks`` with the parsed arguments; return the exit code."""
    redact = Redactor(arguments.program[1:])
    with _own_copy(_STDERR) as messages, _results(as_json=arguments.json) as results:

        def tell(message: str) -> None:
            messages.write(redact(f"penstock: {message}\n"))

        try:
            end = _run(arguments, tell)
        except ConfigurationError as error:
            tell(str(error))
            return USAGE
        if end.report is None:  # a forked child; its parent reports
            return end.exit_code
        if results is not None:
            results.write(redact.json({**end.report.to_dict(), "exit_code": end.exit_code}, indent=2) + "\n")
        if end.report or not arguments.quiet:
            tell(_text(end.report, messages))
    _keep_flushable()
    return end.exit_code or (FAILED if end.report else OK)


def _run(arguments: argparse.Namespace, tell: Callable[[str], object]) -> ScriptEnd:
    target, *rest = arguments.program
    return run_program(
        Program(target, tuple(rest), is_module=arguments.module),
        ignore=[rule_of(rule) for rule in arguments.ignore],
        grace=_grace(arguments.grace),
        strict=arguments.strict,
        trace=arguments.trace,
        tell=_say_nothing if arguments.quiet else tell,
    )


def _grace(text: str) -> float:
    return 0.0 if text in ("0", "0s") else parse_duration(text, name="--grace")


def _own_copy(descriptor: int) -> TextIO:
    """Return a new stream to where ``descriptor`` leads now, which the program cannot close or redirect."""
    try:
        copy = os.dup(descriptor)
    except OSError:  # it is closed
        copy = os.open(os.devnull, os.O_WRONLY)
    return os.fdopen(copy, "w", buffering=1, encoding="utf-8", errors="backslashreplace")


def _results(*, as_json: bool) -> AbstractContextManager[TextIO | None]:
    """Return the stream for results: standard output if they are JSON, else none.

    With JSON, the standard output of the program and of its children is redirected to standard error from now on.
    """
    if not as_json:
        return nullcontext()
    if sys.stdout is not None:
        sys.stdout.flush()
    results = _own_copy(_STDOUT)
    os.dup2(_STDERR, _STDOUT)
    return results


def _say_nothing(_message: str) -> None:
    pass


def _text(report: LeakReport, stream: TextIO) -> str:
    if not stream.isatty():
        return report_text(report)
    width = min(WIDTH, shutil.get_terminal_size().columns)
    if "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb":
        return report_text(report, width=width)
    return report_text(report, width=width, paint=lambda role, text: f"\x1b[{_COLOURS[role]}m{text}\x1b[0m")


def _keep_flushable() -> None:
    """Make sure that standard output can be flushed once more, whatever the program did to it."""
    try:
        sys.stdout.flush()
    except (AttributeError, OSError, ValueError):
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
