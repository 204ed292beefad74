"""How one side of a pipe ended (closed, or aborted with an exception), and what each side raises because of it."""

from __future__ import annotations

from penstock.errors import BrokenError, ClosedError, ForkedError

__all__ = ["CLOSED", "HELD", "End", "as_seen_by_owner", "as_seen_by_peer"]


class End(Exception):
    """The outcome of an end that was closed normally, as opposed to aborted with an exception."""


CLOSED = End()
HELD = End()  # closed, but readers must not see the end of the data yet: see PipeState.end_held


def as_seen_by_owner(outcome: BaseException, message: str) -> BaseException:
    """Return what an end raises when it is used after its own side ended with ``outcome``."""
    return outcome if isinstance(outcome, ForkedError) else ClosedError(message)


def as_seen_by_peer(outcome: BaseException, message: str) -> BaseException:
    """Return what an end raises when the other side ended with ``outcome``.

    An exception given to ``abort`` arrives as the same object. But what ends a thread or task (a cancellation, Ctrl-C)
    must end only that one, so it arrives as the cause of an ordinary error.
    """
    if outcome is CLOSED:
        return BrokenError(message)
    if isinstance(outcome, Exception):
        return outcome
    broken = BrokenError(message)
    broken.__cause__ = outcome
    return broken
