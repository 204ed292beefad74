"""The state the ends of a channel share: the buffer, the free places in it, who waits, and which ends are open.

Passing an item through a buffer that is neither full nor empty takes no lock. A send takes a *place* and adds the
item; a receive takes the item and gives the place back. Places and items lie in deques, whose ``append``, ``pop`` and
``popleft`` are single steps of the interpreter, so there are never more items than places. (A lock would be a large
part of the cost: 100 of 250 ns on CPython 3.11.)

A thread that finds no place, or no item, takes ``mutex`` and parks. No wake-up is lost: a thread that parks first joins
the queue of waiters and *then* looks at the buffer once more; a thread that passes an item first changes the buffer and
*then* looks at that queue. So one of the two always sees the other.
"""

from __future__ import annotations

import _thread
import weakref
from collections import deque
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Any

from penstock.errors import BrokenError, EndOfChannel, ForkedError, PipeAbandoned

if TYPE_CHECKING:
    from penstock.core._origin import Origin
    from penstock.core._parking import Waiter

__all__ = ["ChannelState", "ChannelStatistics", "Receiving", "Sending"]

_PLACES_AT_ONCE = 1024  # places are made as needed, or a channel of a billion of them would fill memory


@dataclass(frozen=True)
class ChannelStatistics:
    """The counters of a channel at one moment.

    Attributes:
        max_buffer_size: items that may wait without blocking a sender.
        current_buffer_used: items that wait now.
        open_send_channels: send ends not closed yet.
        open_receive_channels: receive ends not closed yet.
        tasks_waiting_send: threads and tasks blocked in a send now.
        tasks_waiting_receive: threads and tasks blocked in a receive now.
    """

    max_buffer_size: int
    current_buffer_used: int
    open_send_channels: int
    open_receive_channels: int
    tasks_waiting_send: int
    tasks_waiting_receive: int


class Sending:
    """A blocked send, which waits for a place or a receiver."""

    __slots__ = ("done", "end", "item", "waiter", "withdrawn")

    def __init__(self, item: Any, end: Any, waiter: Waiter) -> None:
        self.item = item
        self.end = end
        self.waiter: Any = waiter
        self.done = False
        self.withdrawn = False


class Receiving:
    """A blocked receive, which waits for an item.

    A ``select`` waits with one of these on each of its channels. They share one ``claim``, a lock that the first
    channel to deliver an item takes and never gives back.
    """

    __slots__ = ("claim", "done", "end", "item", "waiter", "withdrawn")

    def __init__(self, end: Any, waiter: Waiter, claim: _thread.LockType | None = None) -> None:
        self.end = end
        self.waiter: Any = waiter
        self.claim = claim
        self.item: Any = None
        self.done = False
        self.withdrawn = False

    def may_deliver(self) -> bool:
        """Whether an item may be given to this receive; True only once for all receives of one select."""
        return not self.withdrawn and (self.claim is None or self.claim.acquire(blocking=False))


class ChannelState:
    """The shared state of a channel."""

    __slots__ = (
        "__weakref__",
        "buffer",
        "buffered",
        "capacity",
        "halted",
        "last_receiver_left_by",
        "lost_sender",
        "mutex",
        "name",
        "origin",
        "places",
        "receive_ends",
        "receive_error",
        "receivers",
        "reserve",
        "send_ends",
        "send_error",
        "senders",
        "surplus",
    )

    def __init__(self, capacity: int, name: str | None, origin: Origin) -> None:
        self.mutex = _thread.allocate_lock()
        self.capacity = capacity
        self.buffered = capacity > 0
        self.name = name
        self.origin = origin
        self.buffer: deque[Any] = deque()
        self.places: deque[None] = deque(repeat(None, min(capacity, _PLACES_AT_ONCE)))
        self.reserve = capacity - len(self.places)  # places not made yet
        self.surplus = 0  # items beyond the capacity, given back by cancelled receives: so many places to take away
        self.senders: deque[Sending] = deque()
        self.receivers: deque[Receiving] = deque()
        # Open ends by id. A dict, because a finalizer has to take an end out without a lock.
        self.send_ends: dict[int, weakref.ref[Any]] = {}
        self.receive_ends: dict[int, weakref.ref[Any]] = {}
        self.send_error: BaseException | None = None  # a sender aborted: receivers raise it
        self.receive_error: BaseException | None = None  # a receiver aborted: senders raise it
        self.last_receiver_left_by: BaseException | None = None  # the exception that ended the last receiver's block
        self.lost_sender: PipeAbandoned | None = None  # a send end was dropped unclosed: raised instead of the end
        self.halted = False  # one of the above has happened, so the lock-free path, which looks at none, is closed

    def label(self) -> str:
        """Return the name of the channel for messages."""
        return f"channel {self.name!r}" if self.name else "channel"

    # -- what an operation has to raise, under the mutex

    def raise_if_unsendable(self) -> None:
        """Raise what a send has to raise now, because of the receivers or of an abort."""
        if self.receive_error is not None:
            if isinstance(self.receive_error, Exception):
                raise self.receive_error
            raise BrokenError(f"{self.label()} was aborted by a receiver") from self.receive_error
        if not self.receive_ends:
            raise BrokenError(f"every receiver of {self.label()} is closed") from self.last_receiver_left_by
        if self.send_error is not None:
            raise BrokenError(f"{self.label()} was aborted by a sender") from self.send_error

    def raise_if_unreceivable(self) -> None:
        """Raise what a receive has to raise now because of the senders, the end of the items included."""
        if self.send_error is not None:
            if isinstance(self.send_error, Exception):
                raise self.send_error
            raise BrokenError(f"{self.label()} was aborted") from self.send_error
        if not self.send_ends and not self.buffer and not self.senders:
            if self.lost_sender is not None:
                raise self.lost_sender
            raise EndOfChannel(f"every sender of {self.label()} is closed")

    # -- passing items, under the mutex

    def find_place(self) -> bool:
        """Take a free place; False if there is none."""
        if self.surplus:
            self._drop_surplus()
        if not self.places and self.reserve:
            fresh = min(self.reserve, _PLACES_AT_ONCE)
            self.reserve -= fresh
            self.places.extend(repeat(None, fresh))
        try:
            self.places.pop()
        except IndexError:
            return False
        return True

    def _drop_surplus(self) -> None:
        while self.surplus and self.places:
            self.surplus -= 1
            try:
                self.places.pop()
            except IndexError:  # a sender was faster; its item is the one too many
                self.surplus += 1
                return

    def put(self, item: Any) -> bool:
        """Pass ``item`` to a waiting receiver or into a free place; False if there is neither."""
        if not self.buffer and self._give(item):
            return True
        if self.buffered and self.find_place():
            self.buffer.append(item)
            self.serve()
            return True
        return False

    def get(self) -> tuple[Any] | None:
        """Take the next item; None if there is none."""
        try:
            item = self.buffer.popleft()
        except IndexError:
            return self._take_from_sender()
        if self.buffered:
            self.places.append(None)
        self.serve()
        return (item,)

    def _take_from_sender(self) -> tuple[Any] | None:
        while self.senders:
            sending = self.senders[0]
            if not sending.withdrawn:
                sending.done = True
                sending.waiter.wake()
                self.senders.popleft()
                return (sending.item,)
            self.senders.popleft()
        return None

    def _give(self, item: Any) -> bool:
        """Hand ``item`` to the receiver that has waited longest."""
        while self.receivers:
            receiving = self.receivers[0]
            if receiving.may_deliver():
                receiving.item = item
                receiving.done = True
                receiving.waiter.wake()
                self.receivers.popleft()  # last: an interrupt before it leaves it where wake_all finds it
                return True
            self.receivers.popleft()
        return False

    def serve(self) -> None:
        """Serve waiting receivers and senders for as long as there are items for the ones and places for the others."""
        while self._serve_receiver() or self._serve_sender():
            pass

    def _serve_receiver(self) -> bool:
        if not self.receivers:
            return False
        try:
            item = self.buffer.popleft()
        except IndexError:
            taken = self._take_from_sender() if not self.buffered else None
            if taken is None:
                return False
            item = taken[0]
        else:
            if self.buffered:
                self.places.append(None)
        if self._give(item):
            return True
        self.give_back(item)
        return False

    def _serve_sender(self) -> bool:
        if not self.senders or not self.buffered or not self.find_place():
            return False
        sending = self.senders[0]
        if not sending.withdrawn:
            self.buffer.append(sending.item)
            sending.done = True
            sending.waiter.wake()
        else:
            self.places.append(None)
        self.senders.popleft()
        return True

    def give_back(self, item: Any) -> None:
        """Put an item whose receiver was cancelled back to the front, to be received next."""
        self.buffer.appendleft(item)
        if self.buffered and not self.find_place():
            self.surplus += 1

    # -- waking and ending

    def wake_all(self) -> None:
        """Wake everybody who waits, to look at the state again. Also called by finalizers: no lock."""
        for sending in list(self.senders):
            sending.waiter.wake()
        for receiving in list(self.receivers):
            receiving.waiter.wake()

    def may_pass_directly(self) -> bool:
        """Whether a new end may use the lock-free path."""
        return self.buffered and not self.halted

    def leave_direct_path(self) -> None:
        """Close the lock-free path, so that everybody sees the errors. Also called by finalizers: no lock."""
        self.halted = True
        for reference in [*list(self.send_ends.values()), *list(self.receive_ends.values())]:
            end = reference()
            if end is not None:
                end._direct = False

    def halt(self) -> None:
        """Close the lock-free path and drop the items that nobody will receive."""
        self.leave_direct_path()
        self.buffer.clear()

    def tear(self, cause: BaseException) -> None:
        """Break the channel: an interrupt has hit the middle of a change, and an item may be lost."""
        self.leave_direct_path()
        self.send_error = self.send_error or cause
        self.receive_error = self.receive_error or cause
        self.wake_all()

    def abandon_send(self, key: int) -> None:
        """Note that a send end was garbage-collected open. Runs in a finalizer: no lock."""
        self.lost_sender = PipeAbandoned(f"a sender of {self.label()} was dropped without close()")
        self.send_ends.pop(key, None)
        self.wake_all()

    def abandon_receive(self, key: int) -> None:
        """Note that a receive end was garbage-collected open. Runs in a finalizer: no lock."""
        self.receive_ends.pop(key, None)
        if not self.receive_ends:
            self.receive_error = self.receive_error or PipeAbandoned(
                f"the last receiver of {self.label()} was dropped without close()"
            )
            self.leave_direct_path()
        self.wake_all()

    def after_fork_in_child(self) -> None:
        """Break the channel: the threads that used it do not exist in this process."""
        self.mutex = _thread.allocate_lock()
        self.senders.clear()
        self.receivers.clear()
        self.buffer.clear()
        self.tear(ForkedError(f"{self.label()} was made before a fork and belongs to the parent process"))

    def statistics(self) -> ChannelStatistics:
        """Describe the channel as it is now."""
        return ChannelStatistics(
            max_buffer_size=self.capacity,
            current_buffer_used=len(self.buffer),
            open_send_channels=len(self.send_ends),
            open_receive_channels=len(self.receive_ends),
            tasks_waiting_send=len(self.senders),
            tasks_waiting_receive=len(self.receivers),
        )
