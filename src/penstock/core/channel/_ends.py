"""``channel()``, and the send and receive ends it returns, for threads."""

from __future__ import annotations

import warnings
import weakref
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from penstock.core._origin import caller, remember
from penstock.core._parking import ThreadWaiter
from penstock.core.cancel import _current
from penstock.core.channel._state import ChannelState, ChannelStatistics
from penstock.core.channel._steps import (
    _NOTHING_TO_WAIT_WITH,
    begin_receive,
    begin_send,
    look_at_receive,
    look_at_send,
    raise_closed,
    withdraw_receive,
    withdraw_send,
)
from penstock.errors import BrokenError, EndOfChannel, WouldBlock

if TYPE_CHECKING:
    from penstock.core.channel._aio import AsyncReceiveChannel, AsyncSendChannel

__all__ = ["ReceiveChannel", "SendChannel", "channel"]

T = TypeVar("T")
_scope = _current.get
_End = TypeVar("_End", bound="_ChannelEnd")


class _ChannelEnd:
    """What both kinds of end have in common."""

    __slots__ = ("__weakref__", "_closed", "_direct", "_state")

    def __init__(self, state: ChannelState) -> None:
        self._state = state
        self._closed = False
        self._direct = False  # whether items may pass without the mutex: there is a buffer, and nothing has ended yet

    def _open_ends(self) -> dict[int, weakref.ref[Any]]:
        raise NotImplementedError

    def _abandon(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Close this end. Idempotent, never blocks; operations that wait on it in other threads raise ``ClosedError``."""
        state = self._state
        with state.mutex:
            if not self._closed:
                self._close()

    def _close(self) -> None:
        self._closed = True
        self._direct = False
        self._open_ends().pop(id(self), None)
        self._state.wake_all()

    def statistics(self) -> ChannelStatistics:
        """Return the channel's counters as they are now."""
        with self._state.mutex:
            return self._state.statistics()

    def __enter__(self: _End) -> _End:
        return self

    def __del__(self) -> None:
        # No lock in a finalizer: it may run in a thread that holds it. See ChannelState.abandon_send.
        if not getattr(self, "_closed", True):
            self._abandon()
            warnings.warn(
                f"{self!r} made at {self._state.origin} was dropped without close()",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )

    def __repr__(self) -> str:
        state = self._state
        name = f" {state.name!r}" if state.name else ""
        condition = "closed" if self._closed else "open"
        return f"<{type(self).__name__}{name} {condition}, {len(state.buffer)} of {state.capacity} waiting>"


class SendChannel(_ChannelEnd, Generic[T]):
    """An end of a channel to send items to. Made by :func:`penstock.channel` and by ``clone``.

    Several threads may use it at once. Leaving its ``with`` block closes it, or aborts the channel with the exception
    that leaves: a producer that fails must not look like one that has finished.
    """

    __slots__ = ()

    def __init__(self, state: ChannelState) -> None:
        super().__init__(state)
        state.send_ends[id(self)] = weakref.ref(self)
        self._direct = state.may_pass_directly()

    @property
    def aio(self) -> AsyncSendChannel[T]:
        """A view of this end for asyncio and trio tasks: an AnyIO ``ObjectSendStream``."""
        from penstock.core.channel._aio import AsyncSendChannel

        return AsyncSendChannel(self)

    def send(self, item: T) -> None:
        """Send ``item``; block while there is no room for it (without a buffer: until a receiver takes it).

        Raises:
            ClosedError: this end is closed.
            BrokenError: every receiver has closed, or another sender has aborted the channel.
            Exception: whatever a receiver gave to ``abort``.
            Cancelled: the current scope was cancelled; the item was not sent.
        """
        scope = _scope()
        if scope is not None and scope._alert:
            scope._check()
        if self._direct:
            state = self._state
            try:
                state.places.pop()
                state.buffer.append(item)
                if state.receivers:
                    _serve(state)
                return
            except IndexError:
                pass  # no place is free
            except BaseException as exc:
                state.tear(exc)
                raise
        self._send_or_wait(item)

    def _send_directly(self, item: T) -> bool:
        """Send if that takes no lock; else return False. For tasks, which wait in a way of their own."""
        state = self._state
        if not self._direct or not state.places:
            return False
        try:
            state.places.pop()
            state.buffer.append(item)
            if state.receivers:
                _serve(state)
        except IndexError:
            return False
        except BaseException as exc:
            state.tear(exc)
            raise
        return True

    def _send_or_wait(self, item: T) -> None:
        sending = None
        try:
            sending = begin_send(self, item, ThreadWaiter)
            while sending is not None and not sending.done:
                sending.waiter.park()
                if not sending.done:
                    look_at_send(sending)
        except BaseException as exc:
            if sending is None or not withdraw_send(sending, exc):
                raise

    def send_nowait(self, item: T) -> None:
        """Send ``item`` without waiting.

        Raises:
            WouldBlock: there is no room, or without a buffer no receiver is waiting.
            ClosedError, BrokenError, Exception: as for ``send``.
        """
        if begin_send(self, item, None) is _NOTHING_TO_WAIT_WITH:
            raise WouldBlock(f"no room in {self._state.label()}")

    def clone(self) -> SendChannel[T]:
        """Make another send end of the same channel, to be closed on its own; give one to each producer.

        Raises:
            ClosedError: this end is closed.
        """
        raise_closed(self)
        return SendChannel(self._state)

    def abort(self, exc: BaseException | None = None) -> None:
        """Close this end and break the channel: receivers raise ``exc`` at once, whatever other senders do.

        Idempotent, never blocks; the first abort wins. Items that wait are dropped.

        Args:
            exc: what receivers raise, the same object. None makes them raise ``BrokenError``; so does anything but an
                ``Exception`` (a cancellation, Ctrl-C), which then is the cause of that ``BrokenError``.
        """
        state = self._state
        with state.mutex:
            if not self._closed:
                if state.send_error is None:
                    state.send_error = BrokenError(f"a sender has aborted {state.label()}") if exc is None else exc
                self._close()
                state.halt()

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc is None:
            self.close()
        else:
            self.abort(exc)

    def _open_ends(self) -> dict[int, weakref.ref[Any]]:
        return self._state.send_ends

    def _abandon(self) -> None:
        self._state.abandon_send(id(self))


class ReceiveChannel(_ChannelEnd, Generic[T]):
    """An end of a channel to receive items from. Made by :func:`penstock.channel` and by ``clone``.

    Each item goes to one receiver. Iterating receives until every sender has closed. Several threads may use an end at
    once. Leaving its ``with`` block closes it. Once the last receiver is closed, senders raise ``BrokenError``; if an
    exception ended the last receiver's block, it is the cause of that ``BrokenError``.
    """

    __slots__ = ()

    def __init__(self, state: ChannelState) -> None:
        super().__init__(state)
        state.receive_ends[id(self)] = weakref.ref(self)
        self._direct = state.may_pass_directly()

    @property
    def aio(self) -> AsyncReceiveChannel[T]:
        """A view of this end for asyncio and trio tasks: an AnyIO ``ObjectReceiveStream``."""
        from penstock.core.channel._aio import AsyncReceiveChannel

        return AsyncReceiveChannel(self)

    def receive(self) -> T:
        """Receive the next item; block while there is none.

        Raises:
            EndOfChannel: every sender has closed, and everything that was sent has been received.
            PipeAbandoned: raised instead of ``EndOfChannel`` if a send end was dropped without closing.
            ClosedError: this end is closed.
            Exception: whatever a sender gave to ``abort``.
            Cancelled: the current scope was cancelled; no item was taken.
        """
        scope = _scope()
        if scope is not None and scope._alert:
            scope._check()
        if self._direct:
            state = self._state
            try:
                item = state.buffer.popleft()
                state.places.append(None)
                if state.senders:
                    _serve(state)
                return item  # type: ignore[no-any-return]
            except IndexError:
                pass  # nothing is there
            except BaseException as exc:
                state.tear(exc)
                raise
        return self._receive_or_wait()

    def _receive_directly(self) -> tuple[T] | None:
        """Receive if that takes no lock; else return None. For tasks, which wait in a way of their own."""
        state = self._state
        if not self._direct or not state.buffer:
            return None
        try:
            item = state.buffer.popleft()
            state.places.append(None)
            if state.senders:
                _serve(state)
        except IndexError:
            return None
        except BaseException as exc:
            state.tear(exc)
            raise
        return (item,)

    def _receive_or_wait(self) -> T:
        receiving = None
        try:
            begun = begin_receive(self, ThreadWaiter)
            if type(begun) is tuple:
                return begun[0]  # type: ignore[no-any-return]
            receiving = begun
            while not receiving.done:  # type: ignore[union-attr]
                receiving.waiter.park()  # type: ignore[union-attr]
                if not receiving.done:  # type: ignore[union-attr]
                    look_at_receive(receiving)  # type: ignore[arg-type]
        except BaseException as exc:
            if receiving is None or not withdraw_receive(receiving, exc):  # type: ignore[arg-type]
                raise
        return receiving.item  # type: ignore[union-attr, no-any-return]

    def receive_nowait(self) -> T:
        """Receive the next item without waiting.

        Raises:
            WouldBlock: there is no item now.
            EndOfChannel, PipeAbandoned, ClosedError, Exception: as for ``receive``.
        """
        found = begin_receive(self, None)
        if found is None:
            raise WouldBlock(f"nothing waits in {self._state.label()}")
        return found[0]  # type: ignore[index, no-any-return]

    def __iter__(self) -> ReceiveChannel[T]:
        return self

    def __next__(self) -> T:
        try:
            return self.receive()
        except EndOfChannel:
            raise StopIteration from None

    def clone(self) -> ReceiveChannel[T]:
        """Make another receive end of the same channel, to be closed on its own; give one to each worker.

        Raises:
            ClosedError: this end is closed.
        """
        raise_closed(self)
        return ReceiveChannel(self._state)

    def abort(self, exc: BaseException | None = None) -> None:
        """Close this end and break the channel: senders raise ``exc`` at once, whatever other receivers do.

        Idempotent, never blocks; the first abort wins. Items that wait are dropped.

        Args:
            exc: what senders raise, the same object. None makes them raise ``BrokenError``; so does anything but an
                ``Exception`` (a cancellation, Ctrl-C), which then is the cause of that ``BrokenError``.
        """
        state = self._state
        with state.mutex:
            if not self._closed:
                if state.receive_error is None:
                    state.receive_error = BrokenError(f"a receiver has aborted {state.label()}") if exc is None else exc
                self._close()
                state.halt()

    def _close(self) -> None:
        super()._close()
        if not self._state.receive_ends:
            self._state.halt()

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        state = self._state
        with state.mutex:
            if self._closed:
                return
            if exc is not None and state.receive_ends.keys() <= {id(self)}:
                state.last_receiver_left_by = exc
            self._close()

    def _open_ends(self) -> dict[int, weakref.ref[Any]]:
        return self._state.receive_ends

    def _abandon(self) -> None:
        self._state.abandon_receive(id(self))


def _serve(state: ChannelState) -> None:
    with state.mutex:
        state.serve()


def channel(max_buffer_size: int = 0, *, name: str | None = None) -> tuple[SendChannel[Any], ReceiveChannel[Any]]:
    """Make a channel: objects sent to one end can be received from the other, in any thread or task of this process.

    Args:
        max_buffer_size: items that may wait in the channel. With 0, the default, a send returns only when a receiver
            has taken the item (a rendezvous).
        name: the channel's name in messages and reports.

    Returns:
        A send end and a receive end. Both can be cloned. Receiving ends when every send end is closed, and sending
        fails when every receive end is closed. An end that is dropped open emits a ``ResourceWarning``. After a send
        end was dropped, receivers raise ``PipeAbandoned`` instead of ``EndOfChannel``.

    Raises:
        ValueError: ``max_buffer_size`` is negative.
    """
    if max_buffer_size < 0:
        raise ValueError(f"max_buffer_size must be 0 or more items, not {max_buffer_size!r}")
    state = ChannelState(max_buffer_size, name, caller())
    remember(state)
    return SendChannel(state), ReceiveChannel(state)
