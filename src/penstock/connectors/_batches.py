"""The simplest :class:`~penstock.flow.contracts.BatchStream`: a schema and an iterator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Batches"]


@dataclass(frozen=True)
class Batches:
    """Batches of one schema, to be iterated once."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self.batches
