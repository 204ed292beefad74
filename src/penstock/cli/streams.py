"""Write to the standard streams safely: the caller may have closed them, or may stop reading them."""

from __future__ import annotations

import os
import sys

from penstock.errors import PenstockError

__all__ = ["UnwritableOutput", "flush_output", "forget_output", "occupy_closed_descriptors", "say"]

_OPPOSITE = {0: os.O_WRONLY, 1: os.O_RDONLY, 2: os.O_WRONLY}
"""Reading what stands in for the input fails, and writing to the output; what is said to nobody is said well."""


class UnwritableOutput(PenstockError):
    """Standard output cannot be written, for another reason than that its reader has left."""

    def __init__(self, why: str) -> None:
        super().__init__(f"standard output: {why}")


def occupy_closed_descriptors() -> None:
    """Open the null device where descriptor 0, 1 or 2 is closed, and give Python a standard error if it has none.

    Otherwise the next file or connection opened would get that number, and messages meant for people would end up in it.
    """
    for descriptor, flags in _OPPOSITE.items():
        try:
            os.fstat(descriptor)
        except OSError:  # it is the lowest that is free, as those before it are not, so this takes its place
            os.open(os.devnull, flags)
            os.set_inheritable(descriptor, True)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)


def flush_output() -> None:
    """Write what Python still holds for standard output.

    Raises:
        UnwritableOutput: it cannot be written.
        BrokenPipeError: the reader has left.
    """
    if sys.stdout is None:
        return  # closed from the beginning: it can hold nothing
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as exc:
        raise UnwritableOutput(exc.strerror or str(exc)) from exc


def forget_output() -> None:
    """Keep the interpreter from flushing standard output at exit, which prints an error if the reader has left."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)


def say(text: str) -> None:
    """Write ``text`` to standard output, at once.

    Raises:
        UnwritableOutput: it is closed, or cannot be written.
        BrokenPipeError: the reader has left.
    """
    if sys.stdout is None:
        raise UnwritableOutput("it is closed")
    try:
        sys.stdout.write(_writable(text, sys.stdout.encoding))
    except BrokenPipeError:
        raise
    except OSError as exc:  # a text longer than the buffer
        raise UnwritableOutput(exc.strerror or str(exc)) from exc
    flush_output()


def _writable(text: str, encoding: str | None) -> str:
    """Return ``text`` with escapes for characters that ``encoding`` lacks: names of files and columns may have any."""
    if encoding is None:  # it is kept as text, in memory
        return text
    return text.encode(encoding, "backslashreplace").decode(encoding)
