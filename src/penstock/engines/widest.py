"""Refuse rows that are larger than ``max_memory``, naming the row and the column."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from penstock.errors import SourceError
from penstock.flow.contracts import BatchStream
from penstock.flow.units import format_bytes, format_count

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["narrow_enough"]


def narrow_enough(stream: BatchStream, most_bytes: int, *, where: str) -> Iterator[pa.RecordBatch]:
    """Yield the batches of ``stream``, and refuse one with a row of more than ``most_bytes``.

    Sources cut batches to a small part of that, so a batch is only this large if it holds such a row. Some sources
    notice earlier, while the row is still arriving.

    Raises:
        SourceError: a row is too large; the message names the row and the column.
    """
    rows_before = 0
    for batch in stream:
        if batch.nbytes > most_bytes:
            _refuse_wide_rows(batch, most_bytes, rows_before, where)
        rows_before += batch.num_rows
        yield batch
        del batch  # or it would be kept alive while the next one is read


def _refuse_wide_rows(batch: pa.RecordBatch, most_bytes: int, rows_before: int, where: str) -> None:
    for index in range(batch.num_rows):
        row = batch.slice(index, 1)
        if row.nbytes > most_bytes:
            sizes = dict(zip(batch.schema.names, (column.nbytes for column in row.columns), strict=True))
            name = max(sizes, key=sizes.__getitem__)
            raise SourceError(
                f"row {format_count(rows_before + index + 1)}: column {name!r} holds {format_bytes(sizes[name])}, which is more "
                f"than all the memory there is ({format_bytes(most_bytes)})",
                where=where,
                hint="raise max_memory, or leave the column out",
            )
