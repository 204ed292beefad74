"""The state the two ends of a pipe share: the queue of bytes, who waits on it, and how each side was closed.

Nothing here waits or locks: every method runs under ``mutex``, which its callers take, and only changes the state. The
two ``abandon_*`` methods alone run without it.

The model: bytes lie in ``segments`` in stream order. Two counters number them: ``offered`` bytes have been put in,
``taken`` bytes have been read. A write is *acknowledged*, and returns, once its last byte is at most ``capacity``
ahead of the readers: ``end <= taken + capacity``. With capacity 0 that is Go's rendezvous, with capacity n a buffer of
n bytes; there is no other difference. Writes not yet acknowledged are listed in ``writers``; their data is the tail of
``segments``, one segment each, and is not copied.

A reader that finds too little parks with an order for bytes, which writers fill directly. So a parked ``read(8 MiB)``
swallows many small writes without being woken in between.
"""

from __future__ import annotations

import _thread
from collections import deque
from typing import TYPE_CHECKING

from penstock.core.pipe._orders import PipeStatistics, ReadOrder, WriteOffer
from penstock.core.pipe._outcomes import CLOSED, HELD, End, as_seen_by_owner, as_seen_by_peer
from penstock.errors import ForkedError, PipeAbandoned

if TYPE_CHECKING:
    import weakref
    from collections.abc import Iterable

    from penstock.core._origin import Origin
    from penstock.core._parking import Waiter

__all__ = ["PipeState"]

Chunk = bytes | bytearray | memoryview

_SMALL_BYTES = 512  # writes below this are copied together: cheaper than a queue entry for each
_TAIL_BYTES = 65536  # how large the object that collects small writes may grow


class PipeState:
    """The shared state of a pipe. It knows waiters, but nothing of threads and tasks."""

    __slots__ = (
        "__weakref__",
        "capacity",
        "end_held",
        "head_offset",
        "mutex",
        "name",
        "offered",
        "origin",
        "pair",
        "read_blocked_seconds",
        "read_end",
        "read_outcome",
        "reader_was_told",
        "readers",
        "segments",
        "tail",
        "taken",
        "write_blocked_seconds",
        "write_end",
        "write_outcome",
        "writers",
    )

    def __init__(self, capacity: int, name: str | None, origin: Origin) -> None:
        self.mutex = _thread.allocate_lock()
        self.capacity = capacity
        self.name = name
        self.origin = origin
        self.segments: deque[Chunk] = deque()
        self.head_offset = 0  # bytes of segments[0] that are taken already
        self.tail: bytearray | None = None  # segments[-1] while small writes may still be added to it
        self.offered = 0
        self.taken = 0
        self.writers: deque[WriteOffer] = deque()
        self.readers: deque[ReadOrder] = deque()
        # How each side ended: None while open, CLOSED, or the exception it was aborted with. Each is stored by its
        # own side only, once, so that a finalizer can store it without the mutex.
        self.write_outcome: BaseException | None = None
        self.read_outcome: BaseException | None = None
        self.write_blocked_seconds = 0.0
        self.read_blocked_seconds = 0.0
        self.end_held = False  # if so, close() of the write end does not end the data; only let_end() does
        self.reader_was_told = False  # whether a read has raised the writer's error
        # For detecting a thread that waits for itself.
        self.write_end: weakref.ref[object] | None = None
        self.read_end: weakref.ref[object] | None = None
        self.pair: weakref.ref[object] | None = None

    def waiting_bytes(self) -> int:
        """Return how many bytes have been written and may still be read."""
        return 0 if self.read_outcome is not None or self._aborted() else self.offered - self.taken

    def _aborted(self) -> bool:
        return self.write_outcome is not None and not isinstance(self.write_outcome, End)

    def label(self) -> str:
        """Return the name of the pipe for messages."""
        return f"pipe {self.name!r}" if self.name else "pipe"

    # -- writing ---------------------------------------------------------------------------------------------

    def raise_if_unwritable(self) -> None:
        """Raise what a write has to raise now, if anything: for its own close first, then for the reader's end."""
        if self.write_outcome is not None:
            raise as_seen_by_owner(self.write_outcome, f"write to closed {self.label()}")
        if self.read_outcome is not None:
            raise as_seen_by_peer(self.read_outcome, f"the read end of {self.label()} is closed")

    def offer(self, data: bytes | memoryview, size: int) -> bool:
        """Put ``data`` into the queue; return False if the caller must wait, with an offer made by ``enqueue``."""
        segments = self.segments
        if self.writers:
            return False
        self.offered += size
        if self.readers:
            segments.append(data)
            self.tail = None
            self._serve_readers()
            if self.offered - self.taken > self.capacity:
                return False
            if segments and type(data) is memoryview:
                segments[-1] = bytes(data)
            return True
        if self.offered - self.taken <= self.capacity:
            self._append(data, size)
            return True
        segments.append(data)
        self.tail = None
        return False

    def _append(self, data: bytes | memoryview, size: int) -> None:
        if size >= _SMALL_BYTES:
            self.tail = None
            self.segments.append(data if type(data) is bytes else bytes(data))
            return
        tail = self.tail
        if tail is None or len(tail) >= _TAIL_BYTES:
            tail = self.tail = bytearray()
            self.segments.append(tail)
        tail += data

    def enqueue(self, data: bytes | memoryview, size: int, waiter: Waiter) -> WriteOffer:
        """Make the offer for a write that has to wait, after ``offer`` returned False."""
        if self.writers:  # then offer() has not put the data into the queue yet
            self.segments.append(data)
            self.offered += size
        waiting = WriteOffer(data, self.offered - size, self.offered, waiter)
        self.writers.append(waiting)
        return waiting

    def _acknowledge(self) -> None:
        """Let every write return whose last byte fits now."""
        limit = self.taken + self.capacity
        writers = self.writers
        while writers and writers[0].end <= limit:
            offer = writers[0]
            if type(offer.data) is memoryview and offer.end > self.taken:
                self._keep_copy(len(self.segments) - len(writers))
            offer.done = True
            offer.waiter.wake()
            writers.popleft()  # last: an interrupt before it leaves the offer where _wake_all finds it

    def _keep_copy(self, place: int) -> None:
        """Copy what is left of a mutable buffer: its owner may change it once the write returns."""
        if place == 0:
            self.segments[0] = bytes(self.segments[0][self.head_offset :])
            self.head_offset = 0
        else:
            self.segments[place] = bytes(self.segments[place])

    def withdraw_offer(self, offer: WriteOffer) -> int:
        """Take the unread rest of a blocked write out of the queue; return how many of its bytes were read.

        A write that is acknowledged already (``offer.done``) stays as it is.
        """
        if offer.done:
            return offer.end - offer.start
        if offer.consumed is not None:
            return offer.consumed
        consumed = offer.consumed = max(0, self.taken - offer.start)
        rest = offer.end - offer.start - consumed
        writers = self.writers
        position = writers.index(offer)
        if self.segments:  # else they were dropped because a side has ended
            place = len(self.segments) - len(writers) + position
            del self.segments[place]
            if place == 0:
                self.head_offset = 0
        del writers[position]
        self.offered -= rest
        for later in list(writers)[position:]:
            later.start -= rest
            later.end -= rest
        if self.write_outcome is None and self.read_outcome is None:  # else the later ones have to fail as well
            self._acknowledge()
        return consumed

    # -- reading ---------------------------------------------------------------------------------------------

    def raise_if_unreadable(self) -> None:
        """Raise what a read has to raise now, if anything: for its own close first, then for the writer's error."""
        if self.read_outcome is not None:
            raise as_seen_by_owner(self.read_outcome, f"read from closed {self.label()}")
        if self.write_outcome is not None and not isinstance(self.write_outcome, End):
            self.reader_was_told = True
            raise as_seen_by_peer(self.write_outcome, f"the write end of {self.label()} was aborted")

    def take(self, limit: float, *, once: bool) -> list[bytes]:
        """Take up to ``limit`` waiting bytes.

        ``once`` stops after the bytes of one write on a rendezvous pipe, as Go's Read does.
        """
        parts: list[bytes] = []
        segments = self.segments
        while segments and limit > 0:
            part = self._take_from_head(limit)
            limit -= len(part)
            parts.append(part)
            if once and self.capacity == 0:
                break
        if self.writers:
            self._acknowledge()
        return parts

    def _take_from_head(self, limit: float) -> bytes:
        head = self.segments[0]
        offset = self.head_offset
        size = len(head) - offset
        if size <= limit:
            self.taken += size
            self.head_offset = 0
            if head is self.tail:
                self.tail = None
            self.segments.popleft()
            if offset:
                return bytes(head[offset:])
            return head if type(head) is bytes else bytes(head)
        end = offset + int(limit)
        self.head_offset = end
        self.taken += end - offset
        return bytes(head[offset:end])

    def take_line(self, limit: float) -> bytes:
        """Take bytes of the first segment, up to and including its first newline."""
        head = self.segments[0]
        if type(head) is memoryview:
            head = bytes(head)
        newline = head.find(b"\n", self.head_offset)
        if newline >= 0:
            limit = min(limit, newline + 1 - self.head_offset)
        line = self._take_from_head(limit)
        if self.writers:
            self._acknowledge()
        return line

    def _serve_readers(self) -> None:
        """Fill the orders of parked readers, first come first served."""
        readers = self.readers
        while readers and self.segments:
            order = readers[0]
            if order.withdrawn:
                readers.popleft()
                continue
            while self.segments and order.missing > 0:
                part = self._take_from_head(order.missing)
                order.parts.append(part)
                order.missing -= len(part)
                if order.once and self.capacity == 0:
                    order.missing = 0
            if order.missing > 0 and not (order.once and order.parts):
                continue
            order.done = True
            order.waiter.wake()
            readers.popleft()  # last, as in _acknowledge

    def order(self, missing: float, once: bool, parts: list[bytes], waiter: Waiter) -> ReadOrder:
        """Register a read that found too little, so that writers fill its order."""
        waiting = ReadOrder(missing, once, parts, waiter)
        self.readers.append(waiting)
        return waiting

    def withdraw_order(self, order: ReadOrder) -> None:
        """Give up a blocked read. The bytes it had got go back to the head of the queue."""
        if not order.done:
            try:
                self.readers.remove(order)
            except ValueError:
                pass  # dropped by a writer that saw the mark first
        self.put_back(order.parts)

    def put_back(self, parts: Iterable[bytes]) -> None:
        """Return bytes to the head of the queue, to be read next."""
        parts = list(parts)
        if not parts or self.read_outcome is not None or self._aborted():
            return
        if self.head_offset:
            self.segments[0] = self.segments[0][self.head_offset :]
            self.head_offset = 0
            self.tail = None
        self.segments.extendleft(reversed(parts))
        self.taken -= sum(map(len, parts))
        self._serve_readers()

    # -- closing ---------------------------------------------------------------------------------------------

    def close_write(self, outcome: BaseException) -> None:
        """End the stream from the writing side; the first outcome stands.

        Writes that are blocked in other threads fail, and what they offer is not read any more.
        """
        if self.write_outcome is not None:
            return
        self.write_outcome = HELD if outcome is CLOSED and self.end_held else outcome
        for offer in list(self.writers):
            self.withdraw_offer(offer)
            offer.waiter.wake()
        self._wake_all()

    def let_end(self, outcome: BaseException) -> None:
        """End a stream whose end was held back, however its writer was closed in the meantime."""
        self.end_held = False
        if self.write_outcome is HELD:
            self.write_outcome = None
        self.close_write(outcome)

    def close_read(self, outcome: BaseException) -> None:
        """End the stream from the reading side; the first outcome stands. Bytes that wait are dropped."""
        if self.read_outcome is None:
            self.read_outcome = outcome
            self._wake_all()

    def tear(self, cause: BaseException) -> None:
        """End both sides with an error: an interrupt has hit the middle of a change, and bytes may be lost.

        Going on would lose or repeat bytes silently.
        """
        self.close_read(cause)
        self.close_write(cause)

    def _wake_all(self) -> None:
        for offer in list(self.writers):
            offer.waiter.wake()
        for order in list(self.readers):
            order.waiter.wake()

    def abandon_write(self) -> None:
        """Note that the write end was garbage-collected unclosed. Runs in a finalizer: no lock (see ``_end.py``)."""
        if self.write_outcome is None:
            self.write_outcome = PipeAbandoned(f"the write end of {self.label()} was dropped without close()")
            self._wake_all()

    def abandon_read(self) -> None:
        """Note that the read end was garbage-collected unclosed. Runs in a finalizer: no lock."""
        if self.read_outcome is None:
            self.read_outcome = PipeAbandoned(f"the read end of {self.label()} was dropped without close()")
            self._wake_all()

    def drop_unread(self) -> None:
        """Free what nobody will read any more."""
        self.segments.clear()
        self.head_offset = 0
        self.tail = None

    def after_fork_in_child(self) -> None:
        """Break both sides: the threads that used the pipe do not exist in this process."""
        self.mutex = _thread.allocate_lock()
        lost = ForkedError(f"{self.label()} was made before a fork and belongs to the parent process")
        self.writers.clear()
        self.readers.clear()
        self.drop_unread()
        self.write_outcome = self.write_outcome or lost
        self.read_outcome = self.read_outcome or lost

    def statistics(self) -> PipeStatistics:
        """Describe the pipe as it is now."""
        return PipeStatistics(
            buffer_size=self.capacity,
            waiting_bytes=self.waiting_bytes(),
            bytes_written=self.offered,
            bytes_read=self.taken,
            writers_waiting=len(self.writers),
            readers_waiting=len(self.readers),
            write_blocked_seconds=self.write_blocked_seconds,
            read_blocked_seconds=self.read_blocked_seconds,
            write_closed=self.write_outcome is not None,
            read_closed=self.read_outcome is not None,
        )
