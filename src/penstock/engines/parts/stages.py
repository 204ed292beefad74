"""The work of the encoder and of the compressor if the data is cut into parts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, cast

from penstock.engines.parts.cutter import Cutter, PartSize
from penstock.engines.parts.link import Part, PartsLink
from penstock.engines.parts.meter import CountingWriter, MeteredReader

if TYPE_CHECKING:
    from penstock.flow.contracts import BatchStream, ByteReader, ByteWriter, Format

__all__ = ["compress", "encode"]


def encode(encoder: Format, batches: BatchStream, out: PartsLink, *, max_bytes: int, is_compressed: bool) -> None:
    """Encode ``batches`` to their end, each part as a stream of its own.

    Args:
        encoder: the format.
        batches: the batches.
        out: where the parts go.
        max_bytes: how many bytes a part may have, as stored.
        is_compressed: whether the output goes through :func:`compress`.
    """
    size = PartSize(max_bytes)
    for piece in Cutter(batches, size).parts():
        part = Part(piece.schema)
        with out.part(part) as to:
            counted = CountingWriter(to)
            size.begin(counted, partial(out.settle, part) if is_compressed else None)
            part.rows = encoder.encode(piece, counted)


def compress(parts: PartsLink, out: PartsLink, work: Callable[[ByteReader, ByteWriter], object]) -> None:
    """Compress every part with ``work``, each to a stream of its own."""
    for plain in parts.parts():
        with out.part(plain.part) as to:
            counted = CountingWriter(to)
            work(cast("ByteReader", MeteredReader(plain.stream, plain.part.meter, counted)), counted)
