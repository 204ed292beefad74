"""Cut a stream of batches into parts, so that each stays within ``max_file_size`` once it is encoded and compressed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, final

from penstock.engines.parts.meter import CountingWriter

if TYPE_CHECKING:
    import pyarrow as pa

    from penstock.flow.contracts import BatchStream

__all__ = ["Cutter", "PartSize"]

_SLICES = 16  # of a part: it ends up to one slice too early, and a slice that turns out larger than expected too late
_HELD_BY_A_COMPRESSOR = 128 << 10  # it has taken these bytes and not yet given out what becomes of them
_LEAST_ROWS_BYTES = 1 << 10  # what an encoder has written of less is a magic number, and not yet rows


@final
class PartSize:
    """Estimates how large the part being written is, and how large it would be with more rows. One for all parts.

    The size of rows to come is estimated from the rows before them: encoded bytes per byte of Arrow data, and stored
    bytes per encoded byte. Nothing here depends on the speed of any thread.

    Args:
        max_bytes: how many bytes a part may have, as stored.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._growth = 1.0  # encoded bytes for a byte of Arrow data

    def begin(self, encoded: CountingWriter, settle: Callable[[int], int] | None) -> None:
        """Begin a new part.

        Args:
            encoded: counts the encoded bytes of the part.
            settle: returns how many bytes the first n encoded bytes take when stored, and may block; None if encoded
                bytes are stored as they are.
        """
        self._encoded = encoded
        self._settle = settle
        self._given = 0  # bytes of Arrow data the encoder was given
        self._written = 0  # those of them that have come out again; a row group comes out late
        self._header = 0  # encoded bytes before the first row
        self._encoded_then = 0
        self._settled = (0, 0)  # encoded and stored bytes, when last asked

    def add(self, arrow_bytes: int) -> None:
        """Count Arrow bytes as added to the part."""
        if not self._given:
            self._header = self._encoded_then = self._encoded.written
        self._given += arrow_bytes

    def has_room(self, arrow_bytes: int) -> bool:
        """Whether so many more bytes of Arrow data fit. Blocks only if that is a close call."""
        encoded = self._encoded.written
        if encoded - self._encoded_then >= _LEAST_ROWS_BYTES:
            self._encoded_then, self._written = encoded, self._given
            self._growth = (encoded - self._header) / max(self._given, 1)
        to_come = (self._given - self._written + arrow_bytes) * self._growth
        encoded_then, stored = self._settled
        if stored + encoded - encoded_then + to_come <= self.max_bytes:
            return True
        if self._settle is None:
            return False
        stored = self._settle(encoded)
        self._settled = (encoded, stored)
        held = min(_HELD_BY_A_COMPRESSOR, encoded)
        shrunk = min(1.0, (stored + held) / encoded) if encoded else 1.0
        return stored + (to_come + held) * shrunk <= self.max_bytes


@final
class Cutter:
    """Divides a stream of batches into parts, each of which is a stream of batches itself.

    There is at least one part. Parts share the stream, so read them one after another, each to its end.

    Args:
        batches: the stream.
        size: the estimate for the part being written; told of every batch that goes into it.
    """

    def __init__(self, batches: BatchStream, size: PartSize) -> None:
        self.schema = batches.schema
        self._slices = _sliced(batches, max(1, size.max_bytes // _SLICES))
        self._size = size
        self._next: pa.RecordBatch | None = None

    def parts(self) -> Iterator[BatchStream]:
        """Yield the parts."""
        self._next = next(self._slices, None)
        yield _Piece(self)
        while self._next is not None:
            yield _Piece(self)

    def _take_part(self) -> Iterator[pa.RecordBatch]:
        """Yield the batches of one part: the first whatever its size, further ones while there is room."""
        is_first = True
        while self._next is not None and (is_first or self._size.has_room(self._next.nbytes)):
            is_first = False
            batch, self._next = self._next, None
            self._size.add(batch.nbytes)
            yield batch
            del batch  # or two would be held while the next one is waited for
            self._next = next(self._slices, None)


@final
class _Piece:
    """One part, as the encoder sees it."""

    def __init__(self, cutter: Cutter) -> None:
        self.schema = cutter.schema
        self._cutter = cutter

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self._cutter._take_part()


def _sliced(batches: BatchStream, slice_bytes: int) -> Iterator[pa.RecordBatch]:
    """Yield the batches in slices of about ``slice_bytes``, without copying; a single row stays whole."""
    for batch in batches:
        rows = batch.num_rows
        step = max(1, rows * slice_bytes // max(batch.nbytes, 1))
        for start in range(0, rows, step):
            yield batch.slice(start, step)
        del batch
