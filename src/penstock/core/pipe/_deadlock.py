"""Detect that a thread waits on a pipe for something only that thread itself could do, and raise ``WouldDeadlock``.

Two cases: a signal handler that uses a pipe its own thread is busy with, and a wait for the other end where no other
thread exists or could reach it.
"""

from __future__ import annotations

import math
import sys
from _thread import get_ident
from types import CodeType, FrameType
from typing import Any

from penstock.core._solitude import references_from_this_stack
from penstock.core.cancel import current_deadline
from penstock.core.pipe._state import PipeState
from penstock.core.pipe._steps import (
    begin_read,
    begin_write,
    look_at_read,
    look_at_write,
    withdraw_read,
    withdraw_write,
)
from penstock.errors import WouldDeadlock

__all__ = ["PATIENCE_SECONDS", "raise_if_alone", "reject_reentry"]

PATIENCE_SECONDS = 0.05  # how long to wait before asking whether anybody else could end the wait


def reject_reentry(state: PipeState) -> None:
    """Raise if this thread is in the middle of an operation on ``state``, which a signal handler has interrupted."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if frame.f_code in _VISITS and frame.f_locals.get("state") is state:
            raise WouldDeadlock(f"{state.label()} is used by a signal handler that interrupted an operation on it")
        frame = frame.f_back


_VISITS: frozenset[CodeType] = frozenset(
    step.__code__ for step in (begin_read, begin_write, look_at_read, look_at_write, withdraw_read, withdraw_write)
)


def raise_if_alone(state: PipeState, other_end: Any, verb: str) -> None:
    """Raise if only this thread could ever use the other end of the pipe it waits on, and no deadline ends the wait."""
    if current_deadline() != math.inf:
        return
    if len(sys._current_frames()) > 1 and not _held_only_here(state, other_end):
        return
    raise WouldDeadlock(
        f"{state.label()}: this thread waits for bytes to be {verb} that only it could have {verb}; "
        f"use the two ends in two threads, or give pipe() a buffer_size (made at {state.origin})"
    )


def _held_only_here(state: PipeState, other_end: Any) -> bool:
    end = other_end() if other_end is not None else None
    if end is None:
        return False
    pair = state.pair() if state.pair is not None else None
    explained = references_from_this_stack(end)
    if pair is not None:
        if not _held_by_this_stack(pair):
            return False
        explained += 1
    return sys.getrefcount(end) - _CALL_REFERENCES == explained


def _held_by_this_stack(pair: Any) -> bool:
    """Whether nothing holds a PipePair but this thread's local variables and a ``with`` statement it is in."""
    in_with_statement = pair._entered_by == get_ident()
    held = sys.getrefcount(pair) - _CALL_REFERENCES
    return bool(held == references_from_this_stack(pair) + in_with_statement)


def _references_of_a_call() -> int:
    probe = object()
    return sys.getrefcount(probe) - 1


_CALL_REFERENCES = _references_of_a_call()  # what passing an object to getrefcount adds; 0 from CPython 3.14 on
