"""Read and write pipes, terminals and FIFOs so that a cancel ends the wait.

A blocked ``read(2)`` or ``write(2)`` cannot be interrupted from another thread. So we never block in them, but wait in a
``poll(2)`` that also watches a descriptor of our own. The descriptors stay in blocking mode, because that mode belongs to
the open file, which others may share, as a shell shares its terminal.
"""

from __future__ import annotations

import io
import os
import select
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

from penstock.core.cancel import check_cancelled, on_cancel

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

    from penstock.flow.contracts import ByteReader

__all__ = ["Waker", "is_special", "reading_descriptor", "writing_descriptor"]

_BUFFER_BYTES = 256 << 10
_READABLE = select.POLLIN | select.POLLHUP | select.POLLERR
_WRITABLE = select.POLLOUT | select.POLLERR


def is_special(mode: int) -> bool:
    """Whether a file with this ``st_mode`` is not a regular file, and so is written directly, never replaced."""
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


@contextmanager
def reading_descriptor(descriptor: int) -> Iterator[ByteReader]:
    """Give a reader of an open descriptor, of any kind of file. Does not close it.

    Reading blocks until there is data, the end, or a cancel. Raises ``OSError`` as ``os.read`` does.
    """
    with Waker() as waker, io.BufferedReader(_RawReader(descriptor, waker), _BUFFER_BYTES) as reader:
        yield cast(BinaryIO, reader)


@contextmanager
def writing_descriptor(descriptor: int) -> Iterator[_DescriptorWriter]:
    """Give an object whose ``write`` writes all of its argument, or raises ``OSError``; a cancel interrupts it."""
    with Waker() as waker:
        yield _DescriptorWriter(descriptor, waker)


class Waker:
    """Waits for descriptors, and is woken by a cancel of the surrounding scope. Use as a context manager."""

    def __enter__(self) -> Waker:
        self._readable, self._writable = os.pipe()
        self._poll = select.poll()
        self._poll.register(self._readable, select.POLLIN)
        return self

    def __exit__(self, *_exc_info: object) -> None:
        os.close(self._readable)
        os.close(self._writable)

    def wait(self, descriptor: int, events: int, timeout_seconds: float | None = None) -> bool:
        """Block until one of ``events`` (of ``select.poll``) on ``descriptor``; False after ``timeout_seconds``.

        Raises:
            Cancelled: the scope was cancelled.
        """
        self._poll.register(descriptor, events)
        try:
            return descriptor in self._woken_by(timeout_seconds)
        finally:
            self._poll.unregister(descriptor)

    def _woken_by(self, timeout_seconds: float | None) -> set[int]:
        with on_cancel(self._wake):
            ready = {descriptor for descriptor, _events in self._poll.poll(_milliseconds(timeout_seconds))}
        if self._readable in ready:
            os.read(self._readable, 1)
        check_cancelled()
        return ready

    def _wake(self) -> None:
        os.write(self._writable, b"!")


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


class _RawReader(io.RawIOBase):
    def __init__(self, descriptor: int, waker: Waker) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._waker = waker

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        while True:
            self._waker.wait(self._descriptor, _READABLE)
            try:
                return os.readv(self._descriptor, [buffer])
            except BlockingIOError:
                continue  # somebody else read what was there


class _DescriptorWriter:
    def __init__(self, descriptor: int, waker: Waker) -> None:
        self._descriptor = descriptor
        self._waker = waker
        mode = os.fstat(descriptor).st_mode
        can_fill_up = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor)
        # So much, and no more, a pipe that polls as writable takes without blocking.
        self._at_once = select.PIPE_BUF if can_fill_up else _BUFFER_BYTES

    def write(self, data: ReadableBuffer) -> None:
        """Write all of ``data``."""
        rest = memoryview(data)
        while rest:
            self._waker.wait(self._descriptor, _WRITABLE)
            try:
                written = os.write(self._descriptor, rest[: self._at_once])
            except BlockingIOError:
                continue  # non-blocking after all, and somebody else filled it
            rest = rest[written:]
