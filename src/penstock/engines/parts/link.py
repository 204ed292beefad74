"""The link that passes the bytes of several parts between two stages: one buffered pipe after another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

from penstock.core.channel import ReceiveChannel, SendChannel, channel
from penstock.engines.byte_link import ByteLink
from penstock.engines.links import LinkState
from penstock.engines.parts.meter import Meter
from penstock.engines.stopwatch import Stopwatch
from penstock.flow.contracts import ByteReader, ByteWriter

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Part", "PartsLink", "ReadPart"]

_NOTHING = LinkState(0, 0, False, False, 0.0, 0.0, False, False)


@final
class Part:
    """What the stages know about one part, besides its bytes.

    Attributes:
        schema: the columns.
        rows: how many rows it has; final once its bytes have ended.
        meter: how many bytes the compressor has turned it into.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        self.rows = 0
        self.meter = Meter()


@dataclass(frozen=True)
class ReadPart:
    """A part as the reading stage receives it.

    Attributes:
        part: what is known about it.
        stream: its bytes.
    """

    part: Part
    stream: ByteReader


@final
class PartsLink:
    """Passes parts from one stage to the next, one at a time.

    A part begins only when the reading stage has finished the previous one, so there is never more than one pipe.
    """

    def __init__(self, buffer_bytes: int, *, name: str) -> None:
        sender, receiver = channel(0, name=name)
        self._send: SendChannel[tuple[Part, ByteLink]] = sender
        self._receive: ReceiveChannel[tuple[Part, ByteLink]] = receiver
        self._buffer_bytes = buffer_bytes
        self._name = name
        self._waiting_for_the_next = Stopwatch()
        self._waiting_for_a_part = Stopwatch()
        self._states: tuple[LinkState, ByteLink | None] = (_NOTHING, None)  # of the parts before; the one of now
        self._reading: ByteLink | None = None
        self._write_closed = False
        self._read_closed = False

    # -- the stage before ------------------------------------------------------------------------------------------

    @contextmanager
    def part(self, part: Part) -> Iterator[ByteWriter]:
        """Begin a part and give the writer for its bytes. Blocks until the reading stage is ready for it.

        The part ends with the block: normally, or with the exception that leaves it.
        """
        link = ByteLink(self._buffer_bytes, name=self._name)
        self._hand_over(part, link)
        try:
            yield link.writer
        except BaseException as error:
            link.end_writing(error)
            raise
        link.end_writing(None)

    def settle(self, part: Part, written_bytes: int) -> int:
        """Wait until the compressor has read ``written_bytes`` of ``part``; return how many bytes it has produced."""
        with self._waiting_for_the_next:
            return part.meter.settle(written_bytes)

    def _hand_over(self, part: Part, link: ByteLink) -> None:
        try:
            with self._waiting_for_the_next:
                self._send.send((part, link))
        except BaseException as error:
            link.end_writing(error)
            link.end_reading(error)
            raise
        before, now = self._states
        self._states = (before if now is None else _sum(before, now.state()), link)

    # -- the stage after -------------------------------------------------------------------------------------------

    def parts(self) -> Iterator[ReadPart]:
        """Yield the parts until the writing stage has ended; raise its error if it has failed.

        Read each part to its end before asking for the next one.
        """
        handed = iter(self._receive)
        while True:
            with self._waiting_for_a_part:
                taken = next(handed, None)
            if taken is None:
                return
            part, self._reading = taken
            yield ReadPart(part, self._reading.reader)
            self._reading.end_reading(None)

    # -- the engine ------------------------------------------------------------------------------------------------

    def state(self) -> LinkState:
        """Describe all parts so far, added up."""
        before, now = self._states
        total = before if now is None else _sum(before, now.state())
        return replace(
            total,
            writer_waiting=total.writer_waiting or self._waiting_for_the_next.running,
            reader_waiting=total.reader_waiting or self._waiting_for_a_part.running,
            write_blocked_seconds=total.write_blocked_seconds + self._waiting_for_the_next.seconds,
            read_blocked_seconds=total.read_blocked_seconds + self._waiting_for_a_part.seconds,
            write_closed=self._write_closed,
            read_closed=self._read_closed,
        )

    def end_writing(self, error: BaseException | None) -> None:
        """End the sequence of parts, with ``error`` if there is one."""
        self._write_closed = True
        if error is None:
            self._send.close()
        else:
            self._send.abort(error)

    def end_reading(self, error: BaseException | None) -> None:
        """Close the read end, also that of the part being read."""
        self._read_closed = True
        if self._reading is not None:
            self._reading.end_reading(error)
        if error is None:
            self._receive.close()
        else:
            self._receive.abort(error)


def _sum(before: LinkState, now: LinkState) -> LinkState:
    return replace(
        now,
        bytes_in=before.bytes_in + now.bytes_in,
        bytes_out=before.bytes_out + now.bytes_out,
        write_blocked_seconds=before.write_blocked_seconds + now.write_blocked_seconds,
        read_blocked_seconds=before.read_blocked_seconds + now.read_blocked_seconds,
    )
