"""Count the references to an object from this thread's own stack, to prove that no other thread can reach it.

Waiting on one end of a pipe whose other end only the waiting thread can reach is a deadlock. The proof is a count:
every reference to the other end is a local variable of a function that is active in this very thread. If there is one
reference more, anywhere, somebody else may hold the end, and no deadlock is claimed. ``pipe/_deadlock.py`` uses this.
"""

from __future__ import annotations

import sys
from types import FrameType

__all__ = ["references_from_this_stack"]

_HELD_BY_FRAME_ONLY = 3  # the frame, the variable here, and the argument of getrefcount
_CO_OPTIMIZED = 0x1  # function bodies; module and class bodies keep their names where others can reach them


def references_from_this_stack(thing: object) -> int:
    """Count the local variables of this thread's active functions, the caller's included, that are ``thing``."""
    count = 0
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_flags & _CO_OPTIMIZED:
            count += _count_in(frame, thing)
        frame = frame.f_back
    return count


def _count_in(frame: FrameType, thing: object) -> int:
    code = frame.f_code
    values = frame.f_locals
    # A variable shared with a nested function lives in a cell, which whoever has that function can reach.
    count = sum(values.get(name) is thing for name in code.co_varnames if name not in code.co_cellvars)
    if sys.version_info < (3, 13) and sys.getrefcount(values) <= _HELD_BY_FRAME_ONLY:
        # A snapshot there, which would keep every one of these values alive until the function ends; and, should the
        # function have asked for its locals(), the very dict it was given.
        values.clear()
    return count
