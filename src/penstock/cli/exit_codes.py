"""The exit codes of the command, and which error gets which. Scripts depend on the numbers; docs/cli.md lists them."""

from __future__ import annotations

from penstock.errors import (
    BrokenError,
    ConfigurationError,
    DeadlineExceeded,
    SinkError,
    SourceError,
    VerificationError,
)

__all__ = [
    "CLOSED_STDOUT",
    "DEADLINE",
    "FAILED",
    "OK",
    "SINK",
    "SOURCE",
    "USAGE",
    "VERIFICATION",
    "code_for",
    "code_for_signal",
]

OK = 0
FAILED = 1
USAGE = 2
SOURCE = 3
SINK = 4
DEADLINE = 5
VERIFICATION = 6
CLOSED_STDOUT = 141
"""128 + SIGPIPE: the code that shells report for other programs whose reader, such as ``head``, has left."""

_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (ConfigurationError, USAGE),
    (SourceError, SOURCE),
    (SinkError, SINK),
    (DeadlineExceeded, DEADLINE),
    (VerificationError, VERIFICATION),
)


def code_for(error: BaseException) -> int:
    """Return the exit code for a copy that ended with ``error``."""
    if _reader_left(error):
        return CLOSED_STDOUT
    return next((code for kind, code in _CODES if isinstance(error, kind)), FAILED)


def code_for_signal(number: int) -> int:
    """Return the exit code after being stopped by a signal: 130 for SIGINT, 143 for SIGTERM."""
    return 128 + number


def _reader_left(error: BaseException) -> bool:
    """Whether the copy failed because the reader of our standard output has closed it."""
    cause = error.__cause__
    return isinstance(error, SinkError) and isinstance(cause, BrokenPipeError) and not isinstance(cause, BrokenError)
