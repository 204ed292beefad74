"""Everything the command prints for people: on standard error, plans excepted, and always through the redactor."""

from __future__ import annotations

import contextlib
import logging
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import TextIO, final

from penstock.cli.redaction import Redactor
from penstock.cli.streams import say
from penstock.core._last_wait import LAST_WAITS
from penstock.errors import PenstockError

__all__ = ["Terminal", "error_to_dict"]

_SHOW_NOTES = 1
_SHOW_TRACEBACK = 2
_LEVELS = {0: logging.WARNING, _SHOW_NOTES: logging.INFO, _SHOW_TRACEBACK: logging.DEBUG}


@final
class Terminal:
    """Writes summaries, errors and log lines for people, or as JSON lines for programs.

    Args:
        redact: applied to everything written.
        verbosity: the number of ``-v``: 0 shows one line, 1 also notes and the log, 2 tracebacks and the debug log.
        quiet: show no summary.
        as_json: write one JSON object per line instead of text.
        stream: where to write; None for standard error.
    """

    def __init__(
        self,
        redact: Redactor,
        *,
        verbosity: int = 0,
        quiet: bool = False,
        as_json: bool = False,
        stream: TextIO | None = None,
    ) -> None:
        self._redact = redact
        self._verbosity = min(verbosity, _SHOW_TRACEBACK)
        self._quiet = quiet
        self._as_json = as_json
        self._stream = sys.stderr if stream is None else stream
        self._hint: Callable[[], str] = str

    def answer(self, answer: str | Mapping[str, object]) -> None:
        """Print the requested output (a plan) on standard output; a mapping is printed as JSON."""
        text = self._redact(answer) if isinstance(answer, str) else self._redact.json(answer, indent=2)
        say(text + "\n")

    def summary(self, text: str, event: Mapping[str, object]) -> None:
        """Report a copy that did not fail."""
        if not self._quiet:
            self._write(event if self._as_json else f"penstock: {text}")

    def error(self, error: BaseException) -> None:
        """Report an error in one line, and its one-line notes; with ``-v`` all notes, with ``-vv`` the traceback."""
        stack = "".join(traceback.format_exception(error)).rstrip() if self._verbosity >= _SHOW_TRACEBACK else ""
        if self._as_json:
            self._write({"event": "failed", "error": error_to_dict(error), **({"traceback": stack} if stack else {})})
            return
        self._write(f"penstock: {_one_line(error)}")
        self._write_notes(error)
        if stack:
            self._write(stack)

    def _write_notes(self, error: BaseException) -> None:
        """Show an error's notes. Those of one line report a second failure and are always shown, stacks only with ``-v``."""
        if self._verbosity >= _SHOW_TRACEBACK:
            return  # the traceback has them
        for note in getattr(error, "__notes__", ()):
            if self._verbosity >= _SHOW_NOTES or "\n" not in note:
                self._write(f"penstock: {note}")

    def _write(self, said: str | Mapping[str, object]) -> None:
        text = self._redact(said) if isinstance(said, str) else self._redact.json(said)
        with contextlib.suppress(OSError, ValueError):  # nobody reads standard error: there is nobody to tell
            self._stream.write(text + "\n")
            self._stream.flush()

    def _write_log(self, record: logging.LogRecord, message: str) -> None:
        if self._as_json:
            self._write({"event": "log", "level": record.levelname, "message": message})
        elif record.name == LAST_WAITS:
            self._write(f"penstock: {message}{self._hint()}")
        elif self._verbosity >= _SHOW_NOTES:
            self._write(f"penstock: {record.levelname}: {message}")
        else:  # what follows is a stack, or for whoever writes programs
            self._write(f"penstock: {record.levelname}: {message.partition(chr(10))[0]}")

    @contextlib.contextmanager
    def showing_log(self, hint: Callable[[], str] = str) -> Iterator[None]:
        """Show penstock's log while the block runs: warnings; with ``-v`` also infos, with ``-vv`` everything.

        Args:
            hint: returns what to add to a line about waiting.
        """
        self._hint = hint
        handler = _LogLines(self._write_log)
        logger = logging.getLogger("penstock")
        before = logger.level
        logger.addHandler(handler)
        logger.setLevel(_LEVELS[self._verbosity])
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(before)


@final
class _LogLines(logging.Handler):
    """A log handler that passes on each record and its text, which includes the traceback if there is one."""

    def __init__(self, write: Callable[[logging.LogRecord, str], None]) -> None:
        super().__init__()
        self._write_line = write

    def emit(self, record: logging.LogRecord) -> None:
        self._write_line(record, self.format(record))


def error_to_dict(error: BaseException) -> dict[str, object]:
    """Return an error as plain values, for ``--summary`` and ``--progress json``."""
    names = {"where": "where", "hint": "hint", "transient": "transient", "notes": "__notes__"}
    details = {name: getattr(error, attribute) for name, attribute in names.items() if hasattr(error, attribute)}
    return {"type": type(error).__name__, "message": _one_line(error), **details}


def _one_line(error: BaseException) -> str:
    """Return the message of ``error`` as one line; for an error nobody foresaw it says so."""
    text = " ".join(str(error).split())
    if isinstance(error, PenstockError) and text:
        return text
    return f"unexpected {type(error).__name__}: {text} (-vv shows where; please report it)"
