"""Receive the rows of a COPY past libpq, as many at once as have come, to where they are parsed.

libpq copies every row, and psycopg makes an object of it: a third of a microsecond a row, in which no other thread can run
Python. Here rows stay as the server has sent them, but for the header of each (:mod:`penstock.connectors.postgres._row_messages`).
It becomes empty lines, which who parses them skips, or is taken out when rows are handed out. Rows that only pass are not even counted
before that.

The connection remains libpq's. It has sent the statement and waits for the answer, of which everything that is no row is
left to it: bytes are looked at first, and taken only as far as they belong to rows. So it sees the answer to a
statement that has no rows, and reports errors, or the end, as it always does.
"""

from __future__ import annotations

import struct
import sys
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple, final

from penstock.connectors.postgres._row_messages import (
    FEW_ROWS,
    HEADER,
    ROW,
    Starts,
    end_of_whole_rows,
    headers_to_empty_lines,
    missing_bytes,
    rows_alone,
    whole_messages,
)
from penstock.core.cancel import check_cancelled

if TYPE_CHECKING:
    from penstock.connectors.postgres._incoming import Incoming

__all__ = ["HOLD_BACK_SECONDS", "Chunk", "RowStream", "RowTooLong", "WideRow"]

HOLD_BACK_SECONDS = 0.02
"""How long rows that have come wait for more, before they are handed out."""

_COPY_BEGINS = struct.Struct(">BIBH")  # an ``H``, its length, the format of all, and how many columns there are
_FORMAT_BYTES = 2  # for each of the columns
# Notices, parameters, notifications: they may come between rows, and nobody has asked for them.
_ASIDES = frozenset(b"NSA")
_SLACK = 64  # one part in so many of a chunk may stay empty, rather than wait for rows that fit in exactly


class Chunk(NamedTuple):
    """Rows as the server sent them, perhaps with empty lines before each.

    Attributes:
        data: whole rows.
        rows: how many.
    """

    data: bytes | bytearray | memoryview
    rows: int


class WideRow(NamedTuple):
    """One row, which is longer than a chunk, and nothing beside it.

    Attributes:
        data: the row, with its line end.
        rows: one.
    """

    data: bytes | bytearray
    rows: int = 1


class RowTooLong(Exception):
    """A row of a COPY is longer than allowed. ``rows_before`` were read whole."""

    def __init__(self, rows_before: int) -> None:
        super().__init__(f"row {rows_before + 1} is too long")
        self.rows_before = rows_before


@final
class RowStream:
    """The rows of one COPY, for whose answer libpq waits. Until they are over, libpq is not asked for anything.

    Args:
        incoming: what the server sends.
        chunk_bytes: the most bytes of a chunk, apart from a row that is wider.
        most_rows: at most so many rows in a chunk.
        most_row_bytes: the longest row allowed.
        spaced: whether rows have empty lines before them, and lie where they were received: a chunk is only good until
            the next one is asked for.
        prefix: what every chunk begins with that is not ``spaced``.
    """

    def __init__(
        self,
        incoming: Incoming,
        *,
        chunk_bytes: int,
        most_rows: int,
        most_row_bytes: int | None,
        spaced: bool,
        prefix: bytes = b"",
    ) -> None:
        self._incoming = incoming
        self._socket = incoming.socket
        self._most_rows = most_rows
        self._most_row_bytes = most_row_bytes
        if most_row_bytes is not None:
            chunk_bytes = min(chunk_bytes, most_row_bytes + HEADER.size)  # so none that is too long fits in
        self._spaced = spaced
        self._prefix = prefix
        self._only_pass = not spaced and most_rows == sys.maxsize
        self._bytes = bytearray(chunk_bytes)
        self._room = memoryview(self._bytes)
        self._whole = 0  # where the rows end that are handed out
        self._received = 0  # where those end, and what there is of one more, that are not
        self._apart = b"", 0  # the beginning of a message that is received elsewhere, and how much there is of it
        self.rows = 0
        self.is_over = False

    def begins(self) -> bool:
        """Block until the server answers; whether it does so with rows. If not, nothing is taken.

        What is encrypted by GSSAPI does not look like it.
        """
        with self._socket.borrowed():
            head = self._beginning(_COPY_BEGINS.size)
            if len(head) < _COPY_BEGINS.size:
                return False
            kind, length, _format, columns = _COPY_BEGINS.unpack(head)
            size = _COPY_BEGINS.size + _FORMAT_BYTES * columns
            if kind != ord("H") or length + 1 != size or len(self._beginning(size)) < size:
                return False
            self._incoming.receive(memoryview(bytearray(size)))
        return True

    def _beginning(self, size: int) -> bytes:
        head = bytearray(size)
        while True:
            try:
                return bytes(head[: self._incoming.peek(memoryview(head))])
            except BlockingIOError:
                self._socket.wait()

    def chunk(self) -> Chunk | WideRow | None:
        """Block until there are rows; None after the last, or when something has happened that libpq knows.

        Raises:
            RowTooLong: a row is longer than allowed. Not much more than a chunk has been received of it.
            OSError: the connection is broken.
        """
        with self._socket.borrowed():
            if rows := self._fill():
                chunk = self._handed_out(rows)
                self.rows += chunk.rows
                return chunk
            if self.is_over or (row := self._wide_row()) is None:
                return None
        self.rows += 1
        return WideRow(row)

    def settle(self, deadline: float) -> None:
        """Receive the rest of a message that has begun, until ``deadline`` at most, and forget it: libpq takes the next."""
        head, received = self._apart if self._apart[1] else self._begun()
        with self._socket.borrowed():
            while received and (missing := missing_bytes(head, received)):
                more = self._room[:missing]
                if not (count := self._received_until(more, deadline)):
                    return
                head, received = _longer(head, more[:count]), received + count

    def _received_until(self, room: memoryview, deadline: float) -> int:
        """Receive into ``room``, until ``deadline`` at most; return how many bytes. No cancel wakes this."""
        while True:
            try:
                return self._incoming.receive(room)
            except BlockingIOError:
                if not self._socket.wait_regardless(deadline - monotonic()):
                    return 0

    def _handed_out(self, rows: int) -> Chunk:
        messages = self._room[: self._whole]
        if self._spaced:
            return Chunk(messages, rows)
        data, rows = rows_alone(messages)
        return Chunk(self._prefix + data, rows)

    # --- receiving ----------------------------------------------------------------------------------------------

    def _fill(self) -> int:
        """Fill the room with rows and return how many, or 1 and more; none when it is over, or when not one fits in."""
        left = self._received - self._whole
        self._room[:left] = self._room[self._whole : self._received]
        self._whole, self._received = 0, left
        enough = len(self._room) - len(self._room) // _SLACK
        rows = self._accept(*self._whole_messages(left), 0) if left else 0
        while not (self.is_over or rows == self._most_rows or self._whole >= enough or self._is_full()):
            found = self._receive(HOLD_BACK_SECONDS if rows else None)
            if found is None:
                break
            rows += self._accept(*found, rows)
        return rows

    def _is_full(self) -> bool:
        return self._received == len(self._room)

    def _whole_messages(self, until: int) -> tuple[Starts, int]:
        """Return where whole ones begin behind those that there are, and where they end; if they only pass, one beginning."""
        if self._only_pass:
            end = end_of_whole_rows(self._bytes, self._whole, until) if until > self._whole else 0
            return ((0,) if end else ()), end
        return whole_messages(self._room[self._whole : until], many=self.rows >= FEW_ROWS)

    def _accept(self, starts: Starts, end: int, rows: int) -> int:
        """Add messages after the rows that there are, but no more than may be in a chunk; return how many."""
        room_for = self._most_rows - rows
        if len(starts) > room_for:
            end = int(starts[room_for])
            starts = starts[:room_for]
        if len(starts):
            if self._spaced:
                headers_to_empty_lines(self._room[self._whole :], starts)
            self._whole += end
        return len(starts)

    def _receive(self, seconds: float | None) -> tuple[Starts, int] | None:
        """Receive what belongs to rows; return where whole ones begin and end, as seen from those that there are.

        None when nothing has come for so many seconds.
        """
        seen = self._look(seconds)
        if seen is None:
            return None
        until = self._received + seen
        starts, end = self._whole_messages(until)
        after = self._whole + end
        self.is_over = seen == 0
        if after < until and (kind := self._room[after]) != ROW:
            self._take(after - self._received)
            if kind in _ASIDES:
                self._skip()
            else:
                self.is_over = True
        else:
            self._take(seen)
        return starts, end

    def _look(self, seconds: float | None) -> int | None:
        """Block until something has come; return how much can be seen of it behind what was received, 0 at the end."""
        check_cancelled()
        if self.rows:
            self._incoming.gather(len(self._room) - self._received)
        while True:
            try:
                return self._incoming.look(self._room, self._whole, self._received)
            except BlockingIOError:
                if not self._socket.wait(seconds):
                    return None

    def _take(self, size: int) -> None:
        """Receive what was seen."""
        until = self._received + size
        self._incoming.take(self._room[self._received : until])
        self._received = until

    def _wide_row(self) -> bytearray | None:
        """Receive a row that does not fit in, whose beginning fills the room; None when the rest of it does not come."""
        begun = self._room[self._whole : self._received]
        _kind, length = HEADER.unpack_from(begun)
        size = length + 1 - HEADER.size
        if self._most_row_bytes is not None and size > self._most_row_bytes:
            raise RowTooLong(self.rows)
        row = bytearray(size)
        had = len(begun) - HEADER.size
        row[:had] = begun[HEADER.size :]
        self._apart = bytes(begun[: HEADER.size]), len(begun)
        self._whole = self._received = 0
        return row if self._receive_apart(memoryview(row)[had:]) else None

    def _skip(self) -> None:
        """Receive a message that nobody wants to know."""
        header = bytearray(HEADER.size)
        if self._receive_apart(memoryview(header)):
            self._apart = bytes(header), len(header)
            self._receive_apart(memoryview(bytearray(missing_bytes(header, len(header)))))

    def _receive_apart(self, rest: memoryview) -> bool:
        """Receive the whole of ``rest``; False when the server is gone before."""
        head, received = self._apart
        while rest:
            try:
                count = self._incoming.receive(rest)
            except BlockingIOError:
                self._socket.wait()
                continue
            if not count:
                self.is_over = True
                return False
            head, received = _longer(head, rest[:count]), received + count
            self._apart = head, received
            rest = rest[count:]
        self._apart = b"", 0
        return True

    def _begun(self) -> tuple[bytes, int]:
        """Return the beginning of a message that is not whole, and how much there is of it."""
        kept = self._room[self._whole : self._received]
        _starts, end = whole_messages(kept, many=False)
        return bytes(kept[end : end + HEADER.size]), len(kept) - end


def _longer(head: bytes, more: bytes | memoryview) -> bytes:
    """Return the beginning of a message, now that there is more of it; no more than its header matters."""
    return head + bytes(more[: HEADER.size - len(head)])
