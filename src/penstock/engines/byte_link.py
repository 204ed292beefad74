"""The link that passes bytes between two stages: a buffered pipe."""

from __future__ import annotations

from typing import cast, final

from penstock.core.pipe import pipe
from penstock.engines.links import LinkState
from penstock.flow.contracts import ByteReader, ByteWriter

__all__ = ["ByteLink"]

_PIECE_BYTES = 1 << 20


@final
class ByteLink:
    """A buffered pipe between two stages."""

    def __init__(self, buffer_bytes: int, *, name: str) -> None:
        self._reader, self._writer = pipe(buffer_bytes, name=name)

    @property
    def reader(self) -> ByteReader:
        """The end that the following stage reads from."""
        return cast("ByteReader", self._reader)

    @property
    def writer(self) -> ByteWriter:
        """The end that the preceding stage writes to."""
        return self._writer

    def put(self, data: bytes) -> None:
        """Write ``data``. Blocks until nearly all of it has been read.

        Long data is written in pieces. Otherwise the pipe would hold all of it for as long as its end waits to be read.
        """
        if len(data) <= _PIECE_BYTES:
            self._writer.write(data)
            return
        for start in range(0, len(data), _PIECE_BYTES):
            self._writer.write(data[start : start + _PIECE_BYTES])

    def state(self) -> LinkState:
        """Describe the link as it is now."""
        now = self._reader.statistics()
        return LinkState(
            bytes_in=now.bytes_written,
            bytes_out=now.bytes_read,
            writer_waiting=now.writers_waiting > 0,
            reader_waiting=now.readers_waiting > 0,
            write_blocked_seconds=now.write_blocked_seconds,
            read_blocked_seconds=now.read_blocked_seconds,
            write_closed=now.write_closed,
            read_closed=now.read_closed,
        )

    def end_writing(self, error: BaseException | None) -> None:
        """End the stream, with ``error`` if there is one."""
        if error is None:
            self._writer.close()
        else:
            self._writer.abort(error)

    def end_reading(self, error: BaseException | None) -> None:
        """Close the read end."""
        if error is None:
            self._reader.close()
        else:
            self._reader.abort(error)
