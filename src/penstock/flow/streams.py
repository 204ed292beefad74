"""Iterate over a stream in pieces, with as few copies as possible."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.core.pipe import PipeReader
from penstock.flow.contracts import ByteReader

__all__ = ["as_it_comes"]

_MOST_BYTES = 1 << 20


def as_it_comes(stream: ByteReader, most_bytes: int = _MOST_BYTES) -> Iterator[bytes]:
    """Yield ``stream`` in pieces of up to ``most_bytes``; those of a pipe come as they were written.

    ``read(n)`` joins pieces, for which it copies every byte once or twice. ``read1`` of a pipe returns a piece as it is,
    if no other one is waiting.
    """
    # Only of a pipe: the read1 of another stream may be inherited, and bypass what its read does.
    read = stream.read1 if isinstance(stream, PipeReader) else stream.read
    while piece := read(most_bytes):
        yield piece
