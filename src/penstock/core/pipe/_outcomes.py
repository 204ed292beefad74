"""How one side of a pipe ended, and what either side raises for it."""

from __future__ import annotations

from penstock.errors import BrokenError, ClosedError, ForkedError

__all__ = ["CLOSED", "HELD", "End", "as_seen_by_owner", "as_seen_by_peer"]


class End(Exception):
    """Marks an end that was closed, as opposed to aborted with an exception."""


CLOSED = End()
HELD = End()  # closed, but the end of the data is not to be seen yet: see PipeState.end_held


def as_seen_by_owner(outcome: BaseException, message: str) -> BaseException:
    """Turn how one side ended into what it raises when it is used further."""
    return outcome if isinstance(outcome, ForkedError) else ClosedError(message)


def as_seen_by_peer(outcome: BaseException, message: str) -> BaseException:
    """Turn how one side ended into what the other side raises.

    An exception given to ``abort`` arrives as the same object. What ends a thread or task (a cancellation, Ctrl-C)
    must end only its own, so it arrives as the cause of an ordinary error.
    """
    if outcome is CLOSED:
        return BrokenError(message)
    if isinstance(outcome, Exception):
        return outcome
    broken = BrokenError(message)
    broken.__cause__ = outcome
    return broken
