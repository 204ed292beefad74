"""Send and receive packets of MySQL's protocol, over a socket that is logged in. A cancel ends every wait.

A packet is three bytes of length, one of sequence number, and its payload; a payload of 16 MiB - 1 continues in the next
packet. Answers to commands are read one by one (:meth:`Wire.packet`); rows stay where they were received, and only the
positions at which they start are handed out (:meth:`Wire.rows`), so that a row costs one look at its length.
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Final, final

from penstock.core.cancel import check_cancelled

if TYPE_CHECKING:
    from penstock.connectors._descriptors import Waker

__all__ = [
    "PADDING_BYTES",
    "LostConnection",
    "RowBlock",
    "ServerError",
    "Wire",
    "error_in",
    "length_encoded",
]

PADDING_BYTES: Final = 16
"""So many bytes after a block of rows may be read without harm, which spares decoders a look at every end."""

_HEADER_BYTES = 4
_FULL_PAYLOAD = 0xFFFFFF  # a payload of this length has a continuation
_LONGEST_PACKET_BYTES = 1 << 30  # a server takes no larger max_allowed_packet
_ROW = 0x00
_ERROR = 0xFF
_RECEIVE_BYTES = 256 << 10
_HOLD_BACK_SECONDS = 0.25
_READ = select.POLLIN
_WRITE = select.POLLOUT
_uint32 = struct.Struct("<I").unpack_from


class LostConnection(Exception):
    """There is no connection, or there is no longer one."""


class RowTooLong(Exception):
    """A row is longer than allowed. It has not been received completely, and the connection cannot be used any more."""


class ServerError(Exception):
    """The server refused, with its own message.

    Attributes:
        code: the server's number for the error, such as 1146.
        sqlstate: five characters; ``""`` if it sent none.
    """

    def __init__(self, message: str, code: int, sqlstate: str) -> None:
        super().__init__(message)
        self.code = code
        self.sqlstate = sqlstate


@dataclass(frozen=True)
class RowBlock:
    """Rows as they were received. Valid until the next block is requested.

    Attributes:
        buffer: the bytes of the rows, and :data:`PADDING_BYTES` more.
        starts: the positions at which the payloads begin, ascending.
        is_its_own: whether nothing else will be received into the buffer, so that it stays valid.
    """

    buffer: memoryview
    starts: array[int]
    is_its_own: bool


@final
class Wire:
    """One connection, for one thread.

    Methods block, and are woken by a cancel. They raise :class:`LostConnection` when the peer is gone.
    """

    def __init__(self, opened: socket.socket, waker: Waker) -> None:
        self._socket = opened
        self._waker = waker
        self._sequence = 0
        self._buffer = bytearray(_RECEIVE_BYTES + PADDING_BYTES)
        self._start = 0  # of what has been received and not been taken
        self._end = 0

    def close(self) -> None:
        """Close the socket, without telling the server."""
        self._socket.close()

    # --- sending ------------------------------------------------------------------------------------------------

    def command(self, code: int, payload: bytes) -> None:
        """Start a new command."""
        self._sequence = 0
        self.send(bytes([code]) + payload)

    def send(self, payload: bytes | memoryview) -> None:
        """Send one payload, in as many packets as it takes."""
        rest = memoryview(payload)
        while True:
            piece, rest = rest[:_FULL_PAYLOAD], rest[_FULL_PAYLOAD:]
            header = struct.pack("<I", len(piece) | self._sequence << 24)
            self._sequence = (self._sequence + 1) % 256
            if len(piece) < _RECEIVE_BYTES:
                self._send_all(memoryview(b"".join((header, piece))))
            else:
                self._send_all(memoryview(header))
                self._send_all(piece)
            if len(piece) < _FULL_PAYLOAD:
                return

    def _send_all(self, data: memoryview) -> None:
        while data:
            data = data[self._when_ready(partial(self._socket.send, data), _WRITE) :]

    # --- receiving ----------------------------------------------------------------------------------------------

    def packet(self) -> bytes:
        """Return the next payload, whole."""
        pieces = []
        while True:
            self._fill(_HEADER_BYTES)
            (header,) = _uint32(self._buffer, self._start)
            length = header & _FULL_PAYLOAD
            self._sequence = ((header >> 24) + 1) % 256
            self._fill(_HEADER_BYTES + length)
            begin = self._start + _HEADER_BYTES
            pieces.append(bytes(memoryview(self._buffer)[begin : begin + length]))
            self._start = begin + length
            if length < _FULL_PAYLOAD:
                return b"".join(pieces)

    def answer(self) -> bytes:
        """Return the next payload.

        Raises:
            ServerError: it is an error.
        """
        payload = self.packet()
        if payload[:1] == b"\xff":
            raise error_in(payload)
        return payload

    def rows(self, most_bytes: int, most_rows: int, longest_row_bytes: int | None = None) -> RowBlock | None:
        """Return the next rows, up to either limit; None if what comes next is not a row.

        There are fewer if the server is slow to send more. A row longer than ``most_bytes`` comes alone.

        Raises:
            RowTooLong: a row is longer than ``longest_row_bytes``.
        """
        self._move_to_front(most_bytes + _RECEIVE_BYTES)
        starts = array("q")
        position = 0
        while True:
            position, stop = self._walk(starts, position, most_bytes, most_rows)
            if stop is _Stop.INCOMPLETE and self._receive_more_rows(position, bool(starts)):
                continue
            if stop is _Stop.LONG and not starts:
                position = self._join_long_row(longest_row_bytes or _LONGEST_PACKET_BYTES)
                starts.append(_HEADER_BYTES)
            break
        self._start = position
        is_large = position > most_bytes + _RECEIVE_BYTES
        block = RowBlock(memoryview(self._buffer), starts, is_large) if starts else None
        if is_large:
            self._move_to_another(most_bytes + _RECEIVE_BYTES + PADDING_BYTES)  # the large one goes with the block
        return block

    def _walk(self, starts: array[int], position: int, most_bytes: int, most_rows: int) -> tuple[int, _Stop]:
        """Record where the rows from ``position`` on start; return where they end, and why they end there."""
        buffer, end, note, header_at = self._buffer, self._end, starts.append, _uint32
        room = most_rows - len(starts)
        while end - position > _HEADER_BYTES:
            payload = position + _HEADER_BYTES
            after = payload + (header_at(buffer, position)[0] & _FULL_PAYLOAD)
            if buffer[payload] != _ROW:
                return position, _Stop.NO_ROW
            if after > end:
                is_long = after - payload == _FULL_PAYLOAD
                return position, _Stop.LONG if is_long else _Stop.INCOMPLETE
            if room == 0 or position >= most_bytes:
                return position, _Stop.ENOUGH
            if after - payload == _FULL_PAYLOAD:
                return position, _Stop.LONG
            room -= 1
            note(payload)
            position = after
        return position, _Stop.INCOMPLETE

    def _receive_more_rows(self, position: int, has_rows: bool) -> bool:
        """Receive more of the packet at ``position``; return False if the rows before it are enough for now."""
        is_full = self._end + PADDING_BYTES == len(self._buffer)
        if has_rows:
            return not is_full and self._receive(_HOLD_BACK_SECONDS)
        length = _uint32(self._buffer, position)[0] & _FULL_PAYLOAD if self._end - position >= _HEADER_BYTES else 1
        self._make_room(_HEADER_BYTES + length)
        return self._receive(None)

    def _join_long_row(self, longest: int) -> int:
        """Receive all of the first row, remove the headers of its further packets, and return its end."""
        end = _HEADER_BYTES + _FULL_PAYLOAD
        length = _FULL_PAYLOAD
        while length == _FULL_PAYLOAD:
            self._fill(end + _HEADER_BYTES)
            length = _uint32(self._buffer, end)[0] & _FULL_PAYLOAD
            with memoryview(self._buffer) as view:  # let go of again, so that the buffer can be lengthened
                view[end : self._end - _HEADER_BYTES] = view[end + _HEADER_BYTES : self._end]
            self._end -= _HEADER_BYTES
            end += length
            if end > longest:
                raise RowTooLong
            self._fill(end)
        return end

    def _fill(self, count: int) -> None:
        """Receive until ``count`` bytes are there."""
        if self._end - self._start < count:
            self._make_room(count)
        while self._end - self._start < count:
            self._receive(None)

    def _make_room(self, count: int) -> None:
        """Make sure that there is room for ``count`` bytes, counted from the first one not yet taken."""
        if self._start + count + PADDING_BYTES > len(self._buffer):
            self._move_to_front(count + _RECEIVE_BYTES)

    def _move_to_front(self, room: int) -> None:
        """Move what is not yet taken to the front of a buffer of at least ``room`` bytes, and not many times that."""
        room = max(room, self._end - self._start) + PADDING_BYTES
        if not room <= len(self._buffer) <= 2 * room:
            if not (room > len(self._buffer) and self._start == 0 and self._lengthened(room)):
                self._move_to_another(room)
        elif self._start:
            waiting = memoryview(self._buffer)[self._start : self._end]
            memoryview(self._buffer)[: len(waiting)] = waiting
            self._start, self._end = 0, len(waiting)

    def _lengthened(self, room: int) -> bool:
        """Enlarge the buffer in place, without moving a long row; return False if something still refers to it."""
        try:
            self._buffer += bytes(room - len(self._buffer))
        except BufferError:
            return False
        return True

    def _move_to_another(self, room: int) -> None:
        waiting = memoryview(self._buffer)[self._start : self._end]
        self._buffer = bytearray(max(room, len(waiting) + PADDING_BYTES))
        memoryview(self._buffer)[: len(waiting)] = waiting
        self._start, self._end = 0, len(waiting)

    def _receive(self, seconds: float | None) -> bool:
        """Receive at least one byte, and as many as there is room for; return False if none came within ``seconds``."""
        free = memoryview(self._buffer)[self._end : len(self._buffer) - PADDING_BYTES]
        received = self._when_ready(partial(self._socket.recv_into, free), _READ, seconds)
        if received is None:
            return False
        if not received:
            raise LostConnection("the server closed the connection")
        self._end += received
        return True

    def drain(self, seconds: float) -> bool:
        """Discard what comes until the server closes the connection; return False if it does not within ``seconds``."""
        deadline = monotonic() + seconds
        self._start = self._end = 0
        try:
            while self._receive(max(0.0, deadline - monotonic())):
                self._end = 0
        except LostConnection:
            return True
        return False

    def _when_ready(self, operation: Callable[[], int], events: int, seconds: float | None = None) -> int | None:
        """Call ``operation`` as soon as it can proceed, and return its result; None if it cannot within ``seconds``.

        Raises:
            Cancelled: the scope was cancelled.
        """
        check_cancelled()
        while True:
            try:
                return operation()
            except BlockingIOError:
                wanted = events
            except ssl.SSLWantReadError:  # TLS may have to read in order to write, and the other way round
                wanted = _READ
            except ssl.SSLWantWriteError:
                wanted = _WRITE
            except OSError as exc:
                raise LostConnection(exc.strerror or str(exc)) from exc
            if not self._waker.wait(self._socket.fileno(), wanted, seconds):
                return None


class _Stop(Enum):
    """The reason why a walk over received rows ended."""

    NO_ROW = "the next packet is no row"
    ENOUGH = "a limit was reached"
    LONG = "the next row goes over several packets"
    INCOMPLETE = "the next packet has not come whole"


def error_in(payload: bytes) -> ServerError:
    """Parse an error packet: 0xff, the error's number, and since 4.1 ``#`` with five characters of state."""
    code = int.from_bytes(payload[1:3], "little")
    if payload[3:4] == b"#":
        return ServerError(payload[9:].decode(errors="replace"), code, payload[4:9].decode("ascii", "replace"))
    return ServerError(payload[3:].decode(errors="replace"), code, "")


def length_encoded(payload: bytes, position: int) -> tuple[int, int]:
    """Return the length-encoded integer at ``position``, and where it ends."""
    first = payload[position]
    width = {0xFC: 2, 0xFD: 3, 0xFE: 8}.get(first)
    if width is None:
        return first, position + 1
    end = position + 1 + width
    return int.from_bytes(payload[position + 1 : end], "little"), end
