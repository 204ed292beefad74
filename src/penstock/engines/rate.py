"""The bandwidth limit (``bwlimit``): hold a sink to a number of bytes per second."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from copy import copy
from time import monotonic
from typing import TYPE_CHECKING, final

from penstock.core.cancel import sleep
from penstock.engines.stopwatch import Stopwatch
from penstock.flow.contracts import BatchStream, ByteReader

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["LimitedBatches", "LimitedReader", "RateLimit"]

_BURST_SECONDS = 0.1  # bandwidth unused for longer than this is lost, or a stall would be followed by a rush
_SLICES_PER_SECOND = 20


@final
class RateLimit:
    """Lets a number of bytes pass per second, on average: before more may pass, those that have passed are waited for.

    So a wait that is cancelled has taken nothing. One object is for one thread; threads that share the same limit have
    one each, made by :meth:`shared`.

    Args:
        bytes_per_second: the limit.
    """

    def __init__(self, bytes_per_second: float) -> None:
        self.waiting = Stopwatch()
        self.slice_bytes = max(1, int(bytes_per_second / _SLICES_PER_SECOND))
        self._account = _Account(1 / bytes_per_second)

    def shared(self) -> RateLimit:
        """Return an object for another thread that shares this limit: each also waits for what the other has spent."""
        other = copy(self)
        other.waiting = Stopwatch()
        return other

    def wait(self) -> None:
        """Block until the next bytes may pass; a cancel interrupts it."""
        missing = self._account.due - monotonic()
        if missing > 0:
            with self.waiting:
                sleep(missing)

    def spend(self, passed_bytes: int) -> None:
        """Count bytes as passed. Never blocks."""
        self._account.spend(passed_bytes)


@final
class _Account:
    """The moment at which everything that has passed so far will be within the limit; shared by all threads."""

    def __init__(self, seconds_per_byte: float) -> None:
        self.due = 0.0
        self._seconds_per_byte = seconds_per_byte
        self._lock = threading.Lock()

    def spend(self, passed_bytes: int) -> None:
        with self._lock:
            self.due = max(self.due, monotonic() - _BURST_SECONDS) + passed_bytes * self._seconds_per_byte


@final
class LimitedReader:
    """A stream that returns its bytes no faster than a limit allows, in slices of a twentieth of a second."""

    def __init__(self, stream: ByteReader, limit: RateLimit) -> None:
        self._stream = stream
        self._limit = limit

    def read(self, size: int = -1, /) -> bytes:
        """Read ``size`` bytes, or all; fewer only at the end."""
        pieces: list[bytes] = []
        missing = size
        while missing:
            self._limit.wait()
            wanted = self._limit.slice_bytes if missing < 0 else min(missing, self._limit.slice_bytes)
            piece = self._stream.read(wanted)
            if not piece:
                break
            self._limit.spend(len(piece))
            pieces.append(piece)
            missing -= len(piece) if missing > 0 else 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def read1(self, size: int = -1, /) -> bytes:
        """Read what there is, up to ``size`` bytes; a cancel that ends the wait before has taken nothing."""
        self._limit.wait()
        wanted = self._limit.slice_bytes if size < 0 else min(size, self._limit.slice_bytes)
        data: bytes = self._stream.read1(wanted)  # type: ignore[attr-defined]  # a pipe has it
        self._limit.spend(len(data))
        return data

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()


@final
class LimitedBatches:
    """Batches that come no faster than a limit allows; what counts is the size of their Arrow data."""

    def __init__(self, batches: BatchStream, limit: RateLimit) -> None:
        self.schema = batches.schema
        self._batches = batches
        self._limit = limit

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self._batches:
            self._limit.wait()
            self._limit.spend(batch.nbytes)
            yield batch
            del batch  # or it would be kept alive while the next one is waited for
