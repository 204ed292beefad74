"""The ends of a channel for asyncio and trio tasks: views of the same ends, over the same state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from penstock.core._anyio import as_anyio, register_streams
from penstock.core._parking import Turns, checkpoint, task_waiter
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


class _AsyncEnd:
    """Closing, and what AnyIO asks of every stream."""

    _end: SendChannel[Any] | ReceiveChannel[Any]

    def close(self) -> None:
        """Close the end, as its own ``close()``."""
        self._end.close()

    async def aclose(self) -> None:
        """Close the end, as its own ``close()``; a checkpoint, never blocks."""
        self._end.close()
        await checkpoint()

    def abort(self, exc: BaseException | None = None) -> None:
        """Abort the channel, as the end's own ``abort()``."""
        self._end.abort(exc)

    def statistics(self) -> ChannelStatistics:
        """Return the channel's counters as they are now."""
        return self._end.statistics()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """AnyIO's typed attributes: none."""
        return {}

    def extra(self, attribute: Any, default: Any = None) -> Any:
        """Return ``default``: there are no typed attributes."""
        return default

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end.__exit__(exc_type, exc, traceback)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._end!r}>"


class AsyncSendChannel(_AsyncEnd, Generic[T]):
    """A send end for tasks. Made by ``SendChannel.aio``."""

    def __init__(self, end: SendChannel[T]) -> None:
        self._end: SendChannel[T] = end
        self._turns = Turns()
        register_streams("ObjectSendStream", type(self))

    async def send(self, item: T) -> None:
        """Send ``item``; suspends as ``SendChannel.send`` blocks, and raises what it raises.

        A checkpoint before anything is sent: always on trio; on asyncio whenever it suspends, else every 16th time.
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
        """As ``SendChannel.send_nowait``."""
        with as_anyio(ClosedError, BrokenError, WouldBlock):
            self._end.send_nowait(item)

    def clone(self) -> AsyncSendChannel[T]:
        """As ``SendChannel.clone``."""
        return AsyncSendChannel(self._end.clone())


class AsyncReceiveChannel(_AsyncEnd, Generic[T]):
    """A receive end for tasks. Made by ``ReceiveChannel.aio``. Iterates until every sender has closed."""

    def __init__(self, end: ReceiveChannel[T]) -> None:
        self._end: ReceiveChannel[T] = end
        self._turns = Turns()
        register_streams("ObjectReceiveStream", type(self))

    async def receive(self) -> T:
        """Receive the next item; suspends as ``ReceiveChannel.receive`` blocks.

        A checkpoint before anything is taken: always on trio; on asyncio whenever it suspends, else every 16th time.
        Raises what that raises; the end of the items is also an ``anyio.EndOfStream`` where AnyIO is in use.
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
        """As ``ReceiveChannel.receive_nowait``."""
        with as_anyio(ClosedError, BrokenError, EndOfChannel, WouldBlock):
            return self._end.receive_nowait()

    def clone(self) -> AsyncReceiveChannel[T]:
        """As ``ReceiveChannel.clone``."""
        return AsyncReceiveChannel(self._end.clone())

    def __aiter__(self) -> AsyncReceiveChannel[T]:
        return self

    async def __anext__(self) -> T:
        try:
            return await self.receive()
        except EndOfChannel:
            raise StopAsyncIteration from None
