"""How many bytes a compressor has made of what it was given: asked for by one stage, known to the next.

Where to cut must not depend on which thread was faster, or the same data would be cut differently each time. So the
stage that cuts waits until the compressor has worked off all that was written, and only then looks.
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
    """Consumed and produced bytes of one compressor at the moments when it has nothing half done."""

    def __init__(self) -> None:
        self._mutex = _thread.allocate_lock()
        self._consumed = 0
        self._produced = 0
        self._wanted = 0
        self._asked: Future[int] | None = None

    def report(self, consumed: int, produced: int) -> None:
        """Say what has become of the first ``consumed`` bytes; never blocks."""
        with self._mutex:
            self._consumed, self._produced = consumed, produced
            asked = self._asked if consumed >= self._wanted else None
            if asked is not None:
                self._asked = None
        if asked is not None:
            asked.set_result(produced)

    def settle(self, consumed: int) -> int:
        """Return what has become of the first ``consumed`` bytes. Blocks until the compressor has taken them."""
        with self._mutex:
            if self._consumed >= consumed:
                return self._produced
            self._wanted = consumed
            asked = self._asked = Future()
        return asked.result()


@final
class MeteredReader:
    """What a compressor reads from. Each read says that everything read before has been worked off.

    Gives what there is rather than filling, so that a compressor never sits on bytes that somebody waits for.
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
    """Counts what is written.

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
