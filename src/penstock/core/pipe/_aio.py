"""The two ends of a pipe for asyncio and trio tasks: asynchronous views of the same ends.

They are separate objects because some libraries (httpx) take any object with ``__aiter__`` for an asynchronous body
and any with ``__iter__`` for a synchronous one, so one object must not have both.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from penstock.core._anyio import as_anyio
from penstock.core._async_end import AsyncEnd
from penstock.core._parking import task_waiter
from penstock.core.pipe._steps import (
    begin_read,
    begin_write,
    look_at_read,
    look_at_write,
    withdraw_read,
    withdraw_write,
)
from penstock.errors import BrokenError, ClosedError, EndOfChannel

if TYPE_CHECKING:
    from penstock.core.pipe._reader import PipeReader
    from penstock.core.pipe._writer import PipeWriter

__all__ = ["AsyncPipeReader", "AsyncPipeWriter"]


class AsyncPipeWriter(AsyncEnd):
    """The write end of a pipe, for asyncio and trio tasks. Made by ``PipeWriter.aio``; closing it closes that end."""

    _end: PipeWriter

    def __init__(self, end: PipeWriter) -> None:
        super().__init__(end, "ByteSendStream")

    async def send(self, item: bytes | bytearray | memoryview) -> None:
        """Send all of ``item``; suspend until readers have taken it, or what is left fits the buffer.

        Raises what ``PipeWriter.write`` raises. Before anything is sent the task yields to the event loop (a
        checkpoint): always on trio; on asyncio every 16th time, unless the calls in between had to wait anyway.
        """
        await self._turns.take()
        with as_anyio(ClosedError, BrokenError):
            if type(item) is bytes:
                await self._send(item, len(item))
                return
            with memoryview(item) as view, view.cast("B") as octets:
                await self._send(octets, len(octets))

    async def _send(self, data: bytes | memoryview, size: int) -> None:
        state = self._end._state
        offer = None
        try:
            offer = begin_write(state, data, size, task_waiter)
            if offer is None:
                return
            began = monotonic()
            try:
                while not offer.done:
                    self._turns.rested()
                    await offer.waiter.park()
                    if not offer.done:
                        look_at_write(state, offer)
            finally:
                state.write_blocked_seconds += monotonic() - began
        except BaseException as exc:
            if offer is None or not withdraw_write(state, offer, exc):
                raise


class AsyncPipeReader(AsyncEnd):
    """The read end of a pipe, for asyncio and trio tasks. Made by ``PipeReader.aio``; closing it closes that end.

    ``async for`` yields what ``receive`` returns, until the end of the data.
    """

    _end: PipeReader

    def __init__(self, end: PipeReader) -> None:
        super().__init__(end, "ByteReceiveStream")

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Receive up to ``max_bytes`` of what is there; suspend while there is nothing.

        Before anything is taken the task yields to the event loop (a checkpoint): always on trio; on asyncio every
        16th time, unless the calls in between had to wait anyway.

        Raises:
            EndOfChannel: the end of the data; also an ``anyio.EndOfStream`` where AnyIO is in use.
            ValueError: ``max_bytes`` is below 1.
            Exception: what ``PipeReader.read1`` raises.
        """
        if max_bytes < 1:
            raise ValueError(f"max_bytes must be at least 1, not {max_bytes!r}")
        await self._turns.take()
        with as_anyio(ClosedError, BrokenError, EndOfChannel):
            parts = await self._receive(max_bytes)
            if not parts:
                raise EndOfChannel(f"end of {self._end._state.label()}")
            return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _receive(self, max_bytes: int) -> list[bytes]:
        state = self._end._state
        order = None
        try:
            begun = begin_read(state, max_bytes, True, task_waiter)
            if isinstance(begun, list):
                return begun
            order = begun
            began = monotonic()
            try:
                while not order.done:
                    self._turns.rested()
                    await order.waiter.park()
                    if order.done or look_at_read(state, order):
                        break
            finally:
                state.read_blocked_seconds += monotonic() - began
        except BaseException as exc:
            if order is None or not withdraw_read(state, order, exc):
                raise
        return order.parts

    def __aiter__(self) -> AsyncPipeReader:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self.receive()
        except EndOfChannel:
            raise StopAsyncIteration from None
