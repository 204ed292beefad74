"""The simplest :class:`~penstock.flow.contracts.BatchStream`, made of a schema and an iterator; batches without columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock._extras import need

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Batches", "without_columns"]


@dataclass(frozen=True)
class Batches:
    """Batches of one schema, to be iterated once."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self.batches


def without_columns(rows: int) -> pa.RecordBatch:
    """Return a batch with so many rows and no columns. Made otherwise, Arrow would take the number from the columns."""
    arrow = need("pyarrow", extra="arrow", why="hold tables")
    structs = arrow.Array.from_buffers(arrow.struct([]), rows, [None])
    batch: pa.RecordBatch = arrow.RecordBatch.from_struct_array(structs)
    return batch
