"""What stands in a pipe's queues, and its counters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.core._parking import Waiter

__all__ = ["PipeStatistics", "ReadOrder", "WriteOffer"]


@dataclass(frozen=True)
class PipeStatistics:
    """A pipe at one moment.

    Attributes:
        buffer_size: bytes that may wait without blocking the writer.
        waiting_bytes: bytes written and not yet read, those of blocked writes included.
        bytes_written: bytes accepted from writers so far, those of blocked writes included.
        bytes_read: bytes handed to readers so far.
        writers_waiting: writes blocked now.
        readers_waiting: reads blocked now.
        write_blocked_seconds: how long writers have been blocked so far, all together.
        read_blocked_seconds: how long readers have been blocked so far, all together.
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
    """A write that waits to be acknowledged."""

    __slots__ = ("consumed", "data", "done", "end", "start", "waiter")

    def __init__(self, data: bytes | memoryview, start: int, end: int, waiter: Waiter) -> None:
        self.data = data
        self.start = start
        self.end = end
        self.waiter: Any = waiter
        self.done = False
        self.consumed: int | None = None  # bytes that were read, once the rest has been taken back


class ReadOrder:
    """A read that waits for bytes.

    ``missing`` more bytes complete it; ``once`` completes it with the first that come. With nothing missing it only
    asks to be told that there are bytes.
    """

    __slots__ = ("done", "missing", "once", "parts", "waiter", "withdrawn")

    def __init__(self, missing: float, once: bool, parts: list[bytes], waiter: Waiter) -> None:
        self.missing = missing
        self.once = once
        self.parts = parts
        self.waiter: Any = waiter
        self.done = False
        self.withdrawn = False
