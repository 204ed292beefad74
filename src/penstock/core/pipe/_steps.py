"""The steps that reads and writes are made of. Each takes the mutex, looks at the shared state once, and never waits.

The ends for threads (``_reader``, ``_writer``) and those for tasks (``_aio``) run the same loop around these steps:

    begin -> [park -> look]* -> finished, or withdraw if parking raised

An interrupt (Ctrl-C) can land between any two lines of a step. The mutex is a plain lock in a ``with`` statement,
which cannot be left held. A step that is interrupted in the middle of a change *tears* the pipe: both sides see an
error from then on, because going on could lose or repeat bytes silently.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from penstock.core.pipe._orders import ReadOrder, WriteOffer
from penstock.core.pipe._outcomes import CLOSED
from penstock.core.pipe._state import PipeState
from penstock.errors import Cancelled

if TYPE_CHECKING:
    from penstock.core._parking import Waiter

__all__ = ["begin_read", "begin_write", "look_at_read", "look_at_write", "withdraw_read", "withdraw_write"]

_ENDS_THE_THREAD = (KeyboardInterrupt, SystemExit, GeneratorExit)


def begin_write(
    state: PipeState, data: bytes | memoryview, size: int, new_waiter: Callable[[], Waiter]
) -> WriteOffer | None:
    """Write at once and return None; if the write has to wait, return the offer to wait with."""
    with state.mutex:
        if state.write_outcome is not None or state.read_outcome is not None:
            state.raise_if_unwritable()
        if size == 0:
            return None  # waking a reader with nothing would look like the end of the data
        try:
            if state.offer(data, size):
                return None
            return state.enqueue(data, size, new_waiter())
        except BaseException as exc:
            state.tear(exc)
            raise


def look_at_write(state: PipeState, offer: WriteOffer) -> None:
    """After a wake-up: raise if the write can no longer succeed."""
    with state.mutex:
        if not offer.done and (state.write_outcome is not None or state.read_outcome is not None):
            state.raise_if_unwritable()


def withdraw_write(state: PipeState, offer: WriteOffer, exc: BaseException) -> bool:
    """Take back a blocked write because of ``exc``; True if it had succeeded by then and ``exc`` may be dropped."""
    with state.mutex:
        written = state.withdraw_offer(offer)
    if offer.done and isinstance(exc, Exception | Cancelled):
        return True
    exc.characters_written = written  # type: ignore[attr-defined]
    return False


def begin_read(
    state: PipeState, limit: float, once: bool, new_waiter: Callable[[], Waiter], *, peek: bool = False
) -> ReadOrder | list[bytes]:
    """Read at once and return the bytes; if the read has to wait, return the order to wait with.

    Args:
        state: the pipe.
        limit: how many bytes to read; infinity for all, 0 with ``peek``.
        once: be content with the first bytes that come.
        new_waiter: makes the waiter that is woken when the order is filled.
        peek: take nothing, only wait until there are bytes or the data ends.
    """
    with state.mutex:
        if state.read_outcome is not None or state.write_outcome is not None:
            state.raise_if_unreadable()
        try:
            parts = state.take(limit, once=once)
            if state.write_outcome is CLOSED or (peek and state.segments) or (limit == 0 and not peek):
                return parts
            if parts and once:
                return parts
            missing = limit - sum(map(len, parts))
            if missing == 0 and not peek:
                return parts
            return state.order(missing, once, parts, new_waiter())
        except BaseException as exc:
            state.tear(exc)
            raise


def look_at_read(state: PipeState, order: ReadOrder) -> bool:
    """After a wake-up: return whether the read is finished (filled, or at the end); raise if it cannot succeed."""
    with state.mutex:
        if order.done:
            return True
        state.raise_if_unreadable()
        if state.write_outcome is not CLOSED:
            return False
        state.readers.remove(order)
        return True


def withdraw_read(state: PipeState, order: ReadOrder, exc: BaseException) -> bool:
    """Give up a blocked read because of ``exc``; True if it had succeeded by then and ``exc`` may be dropped.

    Only penstock's own ``Cancelled`` may be dropped. Ctrl-C and a task's cancellation have to be raised, so the bytes
    the read had got go back into the pipe.
    """
    order.withdrawn = True
    with state.mutex:
        if order.done and isinstance(exc, Cancelled):
            return True
        state.withdraw_order(order)
    return False
