"""The entries of a pipe's queues (waiting writes and reads), and the counters that ``statistics()`` returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.core._parking import Waiter

__all__ = ["PipeStatistics", "ReadOrder", "WriteOffer"]


@dataclass(frozen=True)
class PipeStatistics:
    """The counters of a pipe at one moment.

    Attributes:
        buffer_size: bytes that may wait without blocking the writer.
        waiting_bytes: bytes written and not yet read, including those of blocked writes.
        bytes_written: bytes accepted from writers so far, including those of blocked writes.
        bytes_read: bytes handed to readers so far.
        writers_waiting: writes blocked now.
        readers_waiting: reads blocked now.
        write_blocked_seconds: total time that writes have been blocked so far.
        read_blocked_seconds: total time that reads have been blocked so far.
        write_closed: whether the write end is closed or aborted.
        read_closed: whether the read end is closed or aborted.
    """

    buffer_size: int
    waiting_bytes: int
    bytes_written: int
    bytes_read: int
    writers_waiting: int
    readers_waiting: int
    write_blocked_seconds: float
    read_blocked_seconds: float
    write_closed: bool
    read_closed: bool


class WriteOffer:
    """A blocked write, which returns once it is acknowledged."""

    __slots__ = ("consumed", "data", "done", "end", "start", "waiter")

    def __init__(self, data: bytes | memoryview, start: int, end: int, waiter: Waiter) -> None:
        self.data = data
        self.start = start
        self.end = end
        self.waiter: Any = waiter
        self.done = False
        self.consumed: int | None = None  # how many of its bytes were read; set when the rest has been taken back


class ReadOrder:
    """A blocked read.

    It is complete when ``missing`` more bytes have come; with ``once``, as soon as any have. With nothing missing it
    only asks to be woken when there are bytes.
    """

    __slots__ = ("done", "missing", "once", "parts", "waiter", "withdrawn")

    def __init__(self, missing: float, once: bool, parts: list[bytes], waiter: Waiter) -> None:
        self.missing = missing
        self.once = once
        self.parts = parts
        self.waiter: Any = waiter
        self.done = False
        self.withdrawn = False
