"""Tell an exception in flight from one that was already being handled.

``close()`` inside a failing ``with`` block must become an abort; ``close()`` of a pipe that was made *inside* an
``except`` block, to report on the caught exception, say, must not. So every end marks, when it is made, the
exceptions that are being handled then. The mark lies on the exception, not on the end: an end that kept the
exception would keep its traceback and every frame in it alive, itself included.
"""

from __future__ import annotations

import sys

from penstock.errors import EndOfChannel

__all__ = ["mark_handled", "newly_in_flight"]

_ATTRIBUTE = "__penstock_handled__"
_MAX_CONTEXT = 32

# They end an iteration; who closes a pipe in `except StopIteration` has come to the end, not to a failure.
_NOT_FAILURES = (StopIteration, StopAsyncIteration, EndOfChannel)


def mark_handled() -> object | None:
    """Mark the exceptions now being handled in this thread; return the mark, None when there are none."""
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
    """Return the exception in flight in this thread, unless it bears ``mark`` or only ends an iteration."""
    exc = sys.exception()
    if exc is None or isinstance(exc, _NOT_FAILURES):
        return None
    if mark is not None and mark in exc.__dict__.get(_ATTRIBUTE, ()):
        return None
    return exc
