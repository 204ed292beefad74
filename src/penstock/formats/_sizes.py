"""Cut batches so that each has a bounded number of bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from penstock.flow.sizes import own_bytes

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["pieces"]


def pieces(batch: pa.RecordBatch, most_bytes: int) -> Iterator[pa.RecordBatch]:
    """Yield ``batch`` whole, or in pieces of at most ``most_bytes`` each without dictionaries, unless a single row has more.

    Halved again and again, not cut into equal numbers of rows: one row may weigh more than all others.
    """
    if batch.num_rows < 2 or batch.nbytes <= most_bytes or own_bytes(batch) <= most_bytes:
        yield batch
        return
    middle = batch.num_rows // 2
    yield from pieces(batch.slice(0, middle), most_bytes)
    yield from pieces(batch.slice(middle), most_bytes)
