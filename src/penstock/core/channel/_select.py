"""``select``: receive from whichever of several channels has an item first, as Go's statement of that name."""

from __future__ import annotations

import _thread
import math
import random
from time import monotonic
from typing import Any

from penstock.core._parking import ThreadWaiter
from penstock.core.cancel import check_cancelled
from penstock.core.channel._ends import ReceiveChannel
from penstock.core.channel._state import Receiving
from penstock.core.channel._steps import begin_receive, look_at_receive, raise_closed, register, withdraw_receive
from penstock.errors import Cancelled, DeadlineExceeded, EndOfChannel

__all__ = ["select"]


def select(*receivers: ReceiveChannel[Any], timeout: float | None = None) -> tuple[ReceiveChannel[Any], Any]:
    """Receive one item from whichever channel has one first; block while none has.

    If several have one, the choice is random, as in Go's ``select``, so that a busy channel does not starve the others.
    Channels that have ended are skipped. Exactly one item is taken, from one channel.

    Args:
        receivers: the receive ends to wait on, at least one.
        timeout: seconds to wait; None for ever, 0 to take only what is there already.

    Returns:
        The receive end that had an item, and the item.

    Raises:
        EndOfChannel: every channel has ended.
        DeadlineExceeded: no item came within ``timeout`` seconds.
        ClosedError: one of the receive ends is closed.
        Exception: whatever a sender of one of the channels gave to ``abort``.
        ValueError: no receive end was given.
        Cancelled: the current scope was cancelled; no item was taken.
    """
    if not receivers:
        raise ValueError("select() needs at least one receiver: it would wait for ever")
    check_cancelled()
    order = random.sample(receivers, len(receivers))
    open_ones = []
    for receiver in order:
        try:
            found = begin_receive(receiver, None)
        except EndOfChannel:
            continue
        if found is not None:
            return receiver, found[0]  # type: ignore[index]
        open_ones.append(receiver)
    if not open_ones:
        raise EndOfChannel("every channel of this select has ended")
    return _wait_on(open_ones, math.inf if timeout is None else monotonic() + timeout)


def _wait_on(receivers: list[ReceiveChannel[Any]], deadline: float) -> tuple[ReceiveChannel[Any], Any]:
    waiter = ThreadWaiter()
    claim = _thread.allocate_lock()
    waiting: list[Receiving] = []
    try:
        for receiver in receivers:
            receiving = Receiving(receiver, waiter, claim)
            waiting.append(receiving)
            with receiver._state.mutex:
                raise_closed(receiver)
                register(receiver, receiving)
        while True:
            winner = _delivered(waiting)
            if winner is not None:
                break
            _drop_ended(waiting)
            if monotonic() >= deadline:
                raise DeadlineExceeded("no channel had an item in time")
            waiter.park(deadline)
    except BaseException as exc:
        winner = _withdraw(waiting, exc)
        if winner is None:
            raise
        return winner.end, winner.item
    for receiving in waiting:
        if receiving is not winner:
            withdraw_receive(receiving, Cancelled())
    return winner.end, winner.item


def _delivered(waiting: list[Receiving]) -> Receiving | None:
    return next((receiving for receiving in waiting if receiving.done), None)


def _drop_ended(waiting: list[Receiving]) -> None:
    """Drop channels that have ended; raise if all have, or if one has failed."""
    for receiving in list(waiting):
        try:
            look_at_receive(receiving)
        except EndOfChannel:
            withdraw_receive(receiving, Cancelled())
            waiting.remove(receiving)
    if not waiting:
        raise EndOfChannel("every channel of this select has ended")


def _withdraw(waiting: list[Receiving], exc: BaseException) -> Receiving | None:
    """Withdraw from every channel; return the receive that got an item by then, if the item may be kept."""
    kept = [receiving for receiving in waiting if withdraw_receive(receiving, exc)]
    return kept[0] if kept else None
