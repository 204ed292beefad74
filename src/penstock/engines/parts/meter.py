"""Tell the stage that cuts the data how many bytes the compressor in the next stage has produced.

Where to cut must not depend on which thread was faster, or the same data would be cut differently each time. So the
cutting stage waits until the compressor has processed everything written so far, and only then looks at the number.
"""

from __future__ import annotations

import _thread
from typing import TYPE_CHECKING, final

from penstock.core._future import Future

if TYPE_CHECKING:
    from penstock.flow.contracts import ByteReader, ByteWriter

__all__ = ["CountingWriter", "Meter", "MeteredReader"]


@final
class Meter:
    """The bytes a compressor has consumed and produced, at moments when it has processed everything it has read."""

    def __init__(self) -> None:
        self._mutex = _thread.allocate_lock()
        self._consumed = 0
        self._produced = 0
        self._wanted = 0
        self._asked: Future[int] | None = None

    def report(self, consumed: int, produced: int) -> None:
        """Record that the first ``consumed`` bytes have become ``produced`` bytes. Never blocks."""
        with self._mutex:
            self._consumed, self._produced = consumed, produced
            asked = self._asked if consumed >= self._wanted else None
            if asked is not None:
                self._asked = None
        if asked is not None:
            asked.set_result(produced)

    def settle(self, consumed: int) -> int:
        """Return how many bytes the first ``consumed`` bytes have become. Blocks until the compressor has read them."""
        with self._mutex:
            if self._consumed >= consumed:
                return self._produced
            self._wanted = consumed
            asked = self._asked = Future()
        return asked.result()


@final
class MeteredReader:
    """The stream a compressor reads from. Each read reports that everything read before has been processed.

    A read returns what there is instead of waiting for more, so that bytes somebody waits for do not sit here.
    """

    def __init__(self, stream: ByteReader, meter: Meter, out: CountingWriter) -> None:
        self._read1 = stream.read1  # type: ignore[attr-defined]  # a pipe has it
        self._meter = meter
        self._out = out
        self._consumed = 0

    def read(self, size: int = -1, /) -> bytes:
        """Read up to ``size`` bytes."""
        self._meter.report(self._consumed, self._out.written)
        data: bytes = self._read1(size)
        self._consumed += len(data)
        return data


@final
class CountingWriter:
    """Counts the bytes written through it.

    Attributes:
        written: bytes so far.
    """

    def __init__(self, out: ByteWriter) -> None:
        self.written = 0
        self._out = out

    def write(self, data: bytes, /) -> int:
        """Take all of ``data``; block while there is no room."""
        written = self._out.write(data)
        self.written += len(data)
        return written
