"""Remember where in the user's code each pipe, channel and pool was made, and list those that are still alive.

Leak reports and warnings use this to say what is left and where it came from, and a forked child to break what it must
not use any more.
"""

from __future__ import annotations

import os
import sys
from typing import Protocol
from weakref import WeakSet

__all__ = ["Origin", "caller", "live", "remember"]

_HERE = __name__.partition(".")[0]


class Origin:
    """A line of code, which is turned into text only when needed."""

    __slots__ = ("filename", "function", "line")

    def __init__(self, filename: str, line: int, function: str) -> None:
        self.filename = filename
        self.line = line
        self.function = function

    def __str__(self) -> str:
        return f"{self.filename}:{self.line} in {self.function}"


def caller() -> Origin:
    """Return the innermost line on the stack that is not penstock's own."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        name = frame.f_globals.get("__name__", "")
        if name != _HERE and not name.startswith(_HERE + "."):
            break
        frame = frame.f_back
    return Origin(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)


class Forkable(Protocol):
    """Something with locks in it, which a forked child cannot go on using."""

    def after_fork_in_child(self) -> None:
        """Become unusable, with fresh locks: the threads that held or awaited the old ones do not exist here."""
        ...


_live: WeakSet[Forkable] = WeakSet()


def remember(thing: Forkable) -> None:
    """Keep track of ``thing`` for as long as it lives, without keeping it alive."""
    _live.add(thing)


def live() -> list[Forkable]:
    """Return everything remembered that is still alive."""
    return list(_live)


def _break_in_child() -> None:
    for thing in live():
        thing.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_break_in_child)
