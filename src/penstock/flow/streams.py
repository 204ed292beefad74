"""Reading a stream to its end, in pieces."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.core.pipe import PipeReader
from penstock.flow.contracts import ByteReader

__all__ = ["as_it_comes"]

_MOST_BYTES = 1 << 20


def as_it_comes(stream: ByteReader, most_bytes: int = _MOST_BYTES) -> Iterator[bytes]:
    """Yield ``stream`` in pieces of up to ``most_bytes``; of a pipe, as they were written into it.

    ``read(n)`` fills, so it copies every byte once or twice to put pieces together. ``read1`` of a pipe hands a piece
    on as it is, when it is the only one that waits.
    """
    # Only a pipe's: another stream's read1 may be one it has inherited, and knows nothing of what its read does.
    read = stream.read1 if isinstance(stream, PipeReader) else stream.read
    while piece := read(most_bytes):
        yield piece
