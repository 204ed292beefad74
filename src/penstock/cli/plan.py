"""``penstock plan`` and ``penstock cp --dry-run``: say what a copy would do, and write nothing."""

from __future__ import annotations

import argparse
import signal

from penstock import api
from penstock.cli.exit_codes import OK, code_for, code_for_signal
from penstock.cli.request import plan_of, redactor_of
from penstock.cli.signals import Interruptible
from penstock.cli.terminal import Terminal
from penstock.dry_run import Preview

__all__ = ["run"]


def run(arguments: argparse.Namespace) -> int:
    """Print the plan on standard output; return the exit code the copy would end with, as far as is known."""
    terminal = Terminal(redactor_of(arguments), verbosity=arguments.verbose)
    interruptible = Interruptible()
    seen: Preview | None = None
    with terminal.showing_log(hint=interruptible.hint):
        try:
            with interruptible:
                seen = api.preview(plan_of(arguments))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told in one line
            terminal.error(error)
            return code_for(error)
        if seen is None:
            return code_for_signal(interruptible.stopped_by or signal.SIGINT)
        return _tell(seen, arguments, terminal)


def _tell(seen: Preview, arguments: argparse.Namespace, terminal: Terminal) -> int:
    as_json = getattr(arguments, "json", False)  # a flag of plan, not of cp
    terminal.answer(seen.to_dict() if as_json else str(seen))
    if seen.sink_error is None:
        return OK
    terminal.error(seen.sink_error)
    return code_for(seen.sink_error)
