"""The ends of a channel for asyncio and trio tasks: asynchronous views of the same ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from penstock.core._anyio import as_anyio
from penstock.core._async_end import AsyncEnd
from penstock.core._parking import task_waiter
from penstock.core.channel._state import ChannelStatistics
from penstock.core.channel._steps import (
    begin_receive,
    begin_send,
    look_at_receive,
    look_at_send,
    withdraw_receive,
    withdraw_send,
)
from penstock.errors import BrokenError, ClosedError, EndOfChannel, WouldBlock

if TYPE_CHECKING:
    from penstock.core.channel._ends import ReceiveChannel, SendChannel

__all__ = ["AsyncReceiveChannel", "AsyncSendChannel"]

T = TypeVar("T")


class _AsyncChannelEnd(AsyncEnd):
    def close(self) -> None:
        """Close the end, as its ``close()`` does; never blocks."""
        self._end.close()

    def statistics(self) -> ChannelStatistics:
        """Return the channel's counters as they are now."""
        return self._end.statistics()  # type: ignore[no-any-return]


class AsyncSendChannel(_AsyncChannelEnd, Generic[T]):
    """A send end of a channel, for asyncio and trio tasks. Made by ``SendChannel.aio``; closing it closes that end."""

    _end: SendChannel[T]

    def __init__(self, end: SendChannel[T]) -> None:
        super().__init__(end, "ObjectSendStream")

    async def send(self, item: T) -> None:
        """Send ``item``; suspend while there is no room for it (without a buffer: until a receiver takes it).

        Raises what ``SendChannel.send`` raises. Before anything is sent the task yields to the event loop (a
        checkpoint): always on trio; on asyncio every 16th time, unless the calls in between had to wait anyway.
        """
        await self._turns.take()
        if not self._end._send_directly(item):
            with as_anyio(ClosedError, BrokenError):
                await self._send_or_wait(item)

    async def _send_or_wait(self, item: T) -> None:
        sending = None
        try:
            sending = begin_send(self._end, item, task_waiter)
            while sending is not None and not sending.done:
                self._turns.rested()
                await sending.waiter.park()
                if not sending.done:
                    look_at_send(sending)
        except BaseException as exc:
            if sending is None or not withdraw_send(sending, exc):
                raise

    def send_nowait(self, item: T) -> None:
        """Send ``item`` without waiting, or raise ``WouldBlock``; as ``SendChannel.send_nowait``."""
        with as_anyio(ClosedError, BrokenError, WouldBlock):
            self._end.send_nowait(item)

    def clone(self) -> AsyncSendChannel[T]:
        """Make another send end of the same channel, to be closed on its own; as ``SendChannel.clone``."""
        return AsyncSendChannel(self._end.clone())


class AsyncReceiveChannel(_AsyncChannelEnd, Generic[T]):
    """A receive end of a channel, for asyncio and trio tasks. Made by ``ReceiveChannel.aio``; closing it closes that end.

    ``async for`` receives until every sender has closed.
    """

    _end: ReceiveChannel[T]

    def __init__(self, end: ReceiveChannel[T]) -> None:
        super().__init__(end, "ObjectReceiveStream")

    async def receive(self) -> T:
        """Receive the next item; suspend while there is none.

        Raises what ``ReceiveChannel.receive`` raises; ``EndOfChannel`` is also an ``anyio.EndOfStream`` where AnyIO is
        in use. Before anything is taken the task yields to the event loop (a checkpoint): always on trio; on asyncio
        every 16th time, unless the calls in between had to wait anyway.
        """
        await self._turns.take()
        found = self._end._receive_directly()
        if found is not None:
            return found[0]
        with as_anyio(ClosedError, BrokenError, EndOfChannel):
            return await self._receive_or_wait()

    async def _receive_or_wait(self) -> T:
        receiving = None
        try:
            begun = begin_receive(self._end, task_waiter)
            if type(begun) is tuple:
                return begun[0]  # type: ignore[no-any-return]
            receiving = begun
            while not receiving.done:  # type: ignore[union-attr]
                self._turns.rested()
                await receiving.waiter.park()  # type: ignore[union-attr]
                if not receiving.done:  # type: ignore[union-attr]
                    look_at_receive(receiving)  # type: ignore[arg-type]
        except BaseException as exc:
            if receiving is None or not withdraw_receive(receiving, exc):  # type: ignore[arg-type]
                raise
        return receiving.item  # type: ignore[union-attr, no-any-return]

    def receive_nowait(self) -> T:
        """Receive the next item without waiting, or raise ``WouldBlock``; as ``ReceiveChannel.receive_nowait``."""
        with as_anyio(ClosedError, BrokenError, EndOfChannel, WouldBlock):
            return self._end.receive_nowait()

    def clone(self) -> AsyncReceiveChannel[T]:
        """Make another receive end of the same channel, to be closed on its own; as ``ReceiveChannel.clone``."""
        return AsyncReceiveChannel(self._end.clone())

    def __aiter__(self) -> AsyncReceiveChannel[T]:
        return self

    async def __anext__(self) -> T:
        try:
            return await self.receive()
        except EndOfChannel:
            raise StopAsyncIteration from None
