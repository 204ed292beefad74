"""Tell an exception that has just been raised from one that was already being handled; pipes need this on closing.

``close()`` inside a failing ``with`` block must become an abort. But ``close()`` of a pipe that was made *inside* an
``except`` block, to report the caught exception, say, must not. So each end of a pipe, when it is made, marks the
exceptions being handled at that time. The mark is on the exception and not the other way round: an end that kept the
exception would keep its traceback alive, with every frame in it and hence the end itself.
"""

from __future__ import annotations

import sys

from penstock.errors import EndOfChannel

__all__ = ["mark_handled", "newly_in_flight"]

_ATTRIBUTE = "__penstock_handled__"
_MAX_CONTEXT = 32

# These end an iteration: code that closes a pipe in `except StopIteration` has finished, not failed.
_NOT_FAILURES = (StopIteration, StopAsyncIteration, EndOfChannel)


def mark_handled() -> object | None:
    """Mark the exceptions being handled in this thread now; return the mark, or None if there are none."""
    exc = sys.exception()
    if exc is None:
        return None
    mark = object()
    for _ in range(_MAX_CONTEXT):
        exc.__dict__.setdefault(_ATTRIBUTE, []).append(mark)
        exc = exc.__context__
        if exc is None:
            break
    return mark


def newly_in_flight(mark: object | None) -> BaseException | None:
    """Return the exception being handled in this thread, unless it bears ``mark`` or only ends an iteration."""
    exc = sys.exception()
    if exc is None or isinstance(exc, _NOT_FAILURES):
        return None
    if mark is not None and mark in exc.__dict__.get(_ATTRIBUTE, ()):
        return None
    return exc
