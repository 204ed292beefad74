"""What a server sends, taken from the socket under libpq, which goes on with what is left there.

So bytes are looked at first, and taken only as far as they are known not to be libpq's.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, final

if TYPE_CHECKING:
    from penstock.connectors._descriptors import Waker

__all__ = ["GATHERING_SECONDS", "WORTHWHILE_BYTES", "InTheClear", "Incoming", "Socket"]

GATHERING_SECONDS = 0.005
"""How long to wait for more than a few rows."""
WORTHWHILE_BYTES = 64 << 10
"""Servers send 8 KiB at a time, and handling so few costs as much as handling many."""


class Incoming(Protocol):
    """The bytes that a server sends. Only between :meth:`Socket.borrowed` and its end are they to be had.

    What does not wait raises ``BlockingIOError`` where nothing has come, and else ``OSError`` where nothing can come.
    """

    @property
    def socket(self) -> Socket:
        """Through which they come."""
        ...

    def peek(self, room: memoryview) -> int:
        """Copy the next bytes into ``room``, and leave them where they are; return how many, 0 at the end."""
        ...

    def receive(self, room: memoryview) -> int:
        """Move the next bytes into ``room``; return how many, 0 at the end."""
        ...

    def look(self, room: memoryview, whole: int, begun: int) -> int:
        """Peek into ``room[begun:]``, further than :meth:`peek` may see; return how many bytes, 0 at the end.

        Args:
            room: has rows, and the beginning of one more.
            whole: where that begins.
            begun: where it ends.
        """
        ...

    def take(self, room: memoryview) -> None:
        """Receive all of ``room``: the bytes that :meth:`look` has seen, or the first of them."""
        ...

    def gather(self, most_bytes: int) -> None:
        """Block until so many bytes have come, or what is worthwhile, unless that takes longer than a moment."""
        ...


@final
class Socket:
    """libpq's socket.

    Args:
        descriptor: does not block. It is not closed.
        waker: waits for it.
    """

    def __init__(self, descriptor: int, waker: Waker) -> None:
        self._descriptor = descriptor
        self._waker = waker
        self.events = select.POLLIN

    @contextmanager
    def borrowed(self) -> Iterator[None]:
        """Have it as an object. Not for longer: should nobody come back here, that would close what is libpq's."""
        self.borrowed_as = socket.socket(fileno=self._descriptor)
        try:
            self.borrowed_as.settimeout(0)
            yield
        finally:
            self.borrowed_as.detach()

    def wait(self, seconds: float | None = None) -> bool:
        """Block until something can be done again; False after so many seconds. A cancel wakes it."""
        return self._waker.wait(self._descriptor, self.events, seconds)

    def wait_regardless(self, seconds: float) -> bool:
        """The same, which no cancel wakes."""
        poll = select.poll()
        poll.register(self._descriptor, self.events)
        return bool(poll.poll(max(0.0, seconds) * 1000))

    def gather(self, most_bytes: int) -> None:
        """As :meth:`Incoming.gather` says."""
        self.borrowed_as.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, min(WORTHWHILE_BYTES, most_bytes))
        try:
            self._waker.wait(self._descriptor, select.POLLIN, GATHERING_SECONDS)
        finally:
            self.borrowed_as.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)  # as libpq knows it


@final
class InTheClear:
    """Of a connection that is not encrypted."""

    def __init__(self, socket: Socket) -> None:
        self.socket = socket
        self.gather = socket.gather

    def peek(self, room: memoryview) -> int:
        return self.socket.borrowed_as.recv_into(room, 0, socket.MSG_PEEK)

    def receive(self, room: memoryview) -> int:
        return self.socket.borrowed_as.recv_into(room)

    def look(self, room: memoryview, whole: int, begun: int) -> int:
        return self.peek(room[begun:])

    def take(self, room: memoryview) -> None:
        while room:
            room = room[self.receive(room) :]
