"""Hold a sink to so many bytes per second."""

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

_BURST_SECONDS = 0.1  # what was not used for longer than this is lost, or a stall would be made up for in a rush
_SLICES_PER_SECOND = 20


@final
class RateLimit:
    """Lets so many bytes pass per second, on average. What has passed is paid for before the next may.

    Paying before and not after means that a wait which a cancel ends has taken nothing. For one thread; others that are to
    keep within the same number of bytes have one each, by :meth:`shared`.

    Args:
        bytes_per_second: how many.
    """

    def __init__(self, bytes_per_second: float) -> None:
        self.waiting = Stopwatch()
        self.slice_bytes = max(1, int(bytes_per_second / _SLICES_PER_SECOND))
        self._account = _Account(1 / bytes_per_second)

    def shared(self) -> RateLimit:
        """Return the same limit for another thread: what one spends, the other pays for, too."""
        other = copy(self)
        other.waiting = Stopwatch()
        return other

    def wait(self) -> None:
        """Return when the next bytes may pass. Blocks; a cancel interrupts it."""
        missing = self._account.due - monotonic()
        if missing > 0:
            with self.waiting:
                sleep(missing)

    def spend(self, passed_bytes: int) -> None:
        """Count bytes that have passed; never blocks."""
        self._account.spend(passed_bytes)


@final
class _Account:
    """When what has passed so far will have been paid for."""

    def __init__(self, seconds_per_byte: float) -> None:
        self.due = 0.0
        self._seconds_per_byte = seconds_per_byte
        self._lock = threading.Lock()

    def spend(self, passed_bytes: int) -> None:
        with self._lock:
            self.due = max(self.due, monotonic() - _BURST_SECONDS) + passed_bytes * self._seconds_per_byte


@final
class LimitedReader:
    """A stream that gives its bytes no faster than a limit allows, in slices of a twentieth of a second."""

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
    """Batches that come no faster than a limit allows; their size is that of their Arrow data."""

    def __init__(self, batches: BatchStream, limit: RateLimit) -> None:
        self.schema = batches.schema
        self._batches = batches
        self._limit = limit

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self._batches:
            self._limit.wait()
            self._limit.spend(batch.nbytes)
            yield batch
            del batch  # or it would be here still while the next one is waited for
