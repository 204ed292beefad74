"""Receive from whichever of several channels has an item first."""

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

    Where several have one, the choice is random, so that a busy channel does not starve the others (as Go's
    ``select``). Channels that have ended are passed over. Exactly one item is taken, from one channel.

    Args:
        receivers: the channels to wait on, at least one.
        timeout: seconds to wait; None for ever, 0 to take only what is there.

    Returns:
        The channel and its item.

    Raises:
        EndOfChannel: every one of the channels has ended.
        DeadlineExceeded: nothing came within ``timeout``.
        ClosedError: one of the ends is closed.
        Exception: what a sender of one of them gave to ``abort``.
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
    """Pass over channels that have ended; raise when all have, or when one has failed."""
    for receiving in list(waiting):
        try:
            look_at_receive(receiving)
        except EndOfChannel:
            withdraw_receive(receiving, Cancelled())
            waiting.remove(receiving)
    if not waiting:
        raise EndOfChannel("every channel of this select has ended")


def _withdraw(waiting: list[Receiving], exc: BaseException) -> Receiving | None:
    """Withdraw from every channel; return the one that had delivered, if its item may be kept."""
    kept = [receiving for receiving in waiting if withdraw_receive(receiving, exc)]
    return kept[0] if kept else None
