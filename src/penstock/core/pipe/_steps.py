"""The steps of a read and a write, each one short visit to the shared state under its mutex. Nothing here waits.

Both faces of a pipe, for threads (``_reader``, ``_writer``) and for tasks (``_aio``), are the same loop around these steps:

    begin -> [park -> look]* -> finished, or withdraw when parking raised

An interrupt (Ctrl-C) can land between any two lines of a visit. The mutex is a plain lock in a ``with`` statement,
which cannot be left held; and a visit that is interrupted in the middle of a change *tears* the pipe: both sides
see the interrupt as an error, since going on could lose or repeat bytes in silence.
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
    """Write if that needs no waiting and return None; otherwise return the offer to wait with."""
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
    """Raise if a write that was woken cannot succeed any more."""
    with state.mutex:
        if not offer.done and (state.write_outcome is not None or state.read_outcome is not None):
            state.raise_if_unwritable()


def withdraw_write(state: PipeState, offer: WriteOffer, exc: BaseException) -> bool:
    """Take back a blocked write because of ``exc``; True if it had succeeded after all and ``exc`` may be dropped."""
    with state.mutex:
        written = state.withdraw_offer(offer)
    if offer.done and isinstance(exc, Exception | Cancelled):
        return True
    exc.characters_written = written  # type: ignore[attr-defined]
    return False


def begin_read(
    state: PipeState, limit: float, once: bool, new_waiter: Callable[[], Waiter], *, peek: bool = False
) -> ReadOrder | list[bytes]:
    """Read if that needs no waiting and return the bytes; otherwise return the order to wait with.

    Args:
        state: the pipe.
        limit: how many bytes, above zero unless ``peek``; infinity for all.
        once: be content with the first bytes that come.
        new_waiter: makes what is woken when the order is filled.
        peek: take nothing, only wait until there are bytes or the end.
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
    """Return whether a read that was woken is finished, filled or at the end; raise if it cannot succeed."""
    with state.mutex:
        if order.done:
            return True
        state.raise_if_unreadable()
        if state.write_outcome is not CLOSED:
            return False
        state.readers.remove(order)
        return True


def withdraw_read(state: PipeState, order: ReadOrder, exc: BaseException) -> bool:
    """Give up a blocked read because of ``exc``; True if it had succeeded after all and ``exc`` may be dropped.

    Only penstock's own ``Cancelled`` is dropped. Ctrl-C and a task's cancellation have to be raised, so what the
    read had got goes back into the pipe.
    """
    order.withdrawn = True
    with state.mutex:
        if order.done and isinstance(exc, Cancelled):
            return True
        state.withdraw_order(order)
    return False
