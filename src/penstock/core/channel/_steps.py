"""The steps of sends and receives that did not pass without a lock. Each takes the mutex and never waits.

The ends for threads (``_ends``) and those for tasks (``_aio``) run the same loop around these steps:

    begin -> [park -> look]* -> finished, or withdraw if parking raised
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from penstock.core.channel._state import Receiving, Sending
from penstock.errors import Cancelled, ClosedError

if TYPE_CHECKING:
    from penstock.core._parking import Waiter
    from penstock.core.channel._ends import ReceiveChannel, SendChannel

__all__ = [
    "begin_receive",
    "begin_send",
    "look_at_receive",
    "look_at_send",
    "raise_closed",
    "withdraw_receive",
    "withdraw_send",
]


def raise_closed(end: Any) -> None:
    """Raise if this end was closed by its owner."""
    if end._closed:
        raise ClosedError(f"this end of {end._state.label()} is closed")


def begin_send(end: SendChannel[Any], item: Any, new_waiter: Callable[[], Waiter] | None) -> Sending | None:
    """Send at once and return None; if the send has to wait, return the object to wait with.

    Without ``new_waiter`` nothing is left waiting; the return value only says that the send would have to wait.
    """
    state = end._state
    with state.mutex:
        raise_closed(end)
        state.raise_if_unsendable()
        try:
            if state.put(item):
                return None
            if new_waiter is None:
                return _NOTHING_TO_WAIT_WITH
            sending = Sending(item, end, new_waiter())
            state.senders.append(sending)
            state.serve()  # a place may have come free before the append; from here on its giver sees us
            return sending
        except BaseException as exc:
            state.tear(exc)
            raise


class _NoWaiter:
    def wake(self) -> None:
        """Do nothing: nobody waits."""


_NOTHING_TO_WAIT_WITH = Sending(None, None, _NoWaiter())


def look_at_send(sending: Sending) -> None:
    """After a wake-up: raise if the send can no longer succeed."""
    state = sending.end._state
    with state.mutex:
        if not sending.done:
            raise_closed(sending.end)
            state.raise_if_unsendable()


def withdraw_send(sending: Sending, exc: BaseException) -> bool:
    """Take back a blocked send because of ``exc``; True if it had succeeded and ``exc`` may be dropped."""
    sending.withdrawn = True
    state = sending.end._state
    with state.mutex:
        if sending.done:
            return isinstance(exc, Exception | Cancelled)
        if sending in state.senders:
            state.senders.remove(sending)
    return False


def begin_receive(end: ReceiveChannel[Any], new_waiter: Callable[[], Waiter] | None) -> tuple[Any] | Receiving | None:
    """Receive at once and return the item in a tuple; if the receive has to wait, return the object to wait with.

    Without ``new_waiter``, return None instead of waiting.
    """
    state = end._state
    with state.mutex:
        raise_closed(end)
        if state.send_error is not None:
            state.raise_if_unreceivable()
        try:
            found = state.get()
            if found is not None:
                return found
        except BaseException as exc:
            state.tear(exc)
            raise
        state.raise_if_unreceivable()
        if new_waiter is None:
            return None
        return register(end, Receiving(end, new_waiter()))


def register(end: ReceiveChannel[Any], receiving: Receiving) -> Receiving:
    """Add a receive to those that wait. Under the mutex."""
    state = end._state
    try:
        state.receivers.append(receiving)
        state.serve()  # an item may have come before the append; from here on its sender sees us
    except BaseException as exc:
        state.tear(exc)
        raise
    return receiving


def look_at_receive(receiving: Receiving) -> None:
    """After a wake-up: raise if the receive can no longer succeed."""
    state = receiving.end._state
    with state.mutex:
        if not receiving.done:
            raise_closed(receiving.end)
            state.raise_if_unreceivable()


def withdraw_receive(receiving: Receiving, exc: BaseException) -> bool:
    """Give up a blocked receive because of ``exc``; True if it had succeeded and ``exc`` may be dropped.

    Only penstock's own ``Cancelled`` may be dropped. Ctrl-C and a task's cancellation have to be raised, so the item
    goes back into the channel, for the next receiver.
    """
    receiving.withdrawn = True
    state = receiving.end._state
    with state.mutex:
        if not receiving.done:
            if receiving in state.receivers:
                state.receivers.remove(receiving)
            return False
        if isinstance(exc, Cancelled):
            return True
        state.give_back(receiving.item)
        state.serve()
    return False
