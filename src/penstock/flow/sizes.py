"""Measure Arrow batches without shared dictionaries, and join batches too small to be worth the overhead of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from penstock._extras import need

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["joined", "own_bytes"]

_FEW_BYTES = 256 << 10


def own_bytes(batch: pa.RecordBatch) -> int:
    """Return the bytes of ``batch`` without the dictionaries of its columns.

    A slice keeps the whole dictionary. By ``nbytes``, which counts it, a batch with a large dictionary would be halved
    down to single rows without ever getting smaller than the dictionary.
    """
    is_dictionary = need("pyarrow", extra="arrow", why="hold tables").types.is_dictionary
    columns: list[Any] = batch.columns
    return sum(int((column.indices if is_dictionary(column.type) else column).nbytes) for column in columns)


def joined(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, few_bytes: int = _FEW_BYTES
) -> Iterator[pa.RecordBatch]:
    """Join batches of less than ``few_bytes`` to about that size, because each batch costs an encoder a millisecond.

    Only for batches that exist already; others would be held back here until later ones come.

    Args:
        batches: the batches, all of ``schema``.
        schema: the schema. If it contains a dictionary, batches are not joined, as Arrow cannot join all of those.
        few_bytes: the size below which a batch is joined with others.
    """
    if any(map(_has_dictionary, schema.types)):
        yield from batches
        return
    waiting: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        if waiting and size + batch.nbytes > few_bytes:
            yield _one(waiting)
            waiting, size = [], 0
        if batch.nbytes > few_bytes:
            yield batch
        else:
            waiting.append(batch)
            size += batch.nbytes
        del batch
    if waiting:
        yield _one(waiting)


def _one(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(batches) == 1:
        return batches[0]
    together: pa.RecordBatch = need("pyarrow", extra="arrow", why="hold tables").concat_batches(batches)
    return together


def _has_dictionary(kind: Any) -> bool:
    """Return whether a type is one, or has one inside."""
    arrow = need("pyarrow", extra="arrow", why="hold tables")
    if isinstance(kind, arrow.BaseExtensionType):
        return _has_dictionary(kind.storage_type)
    inside = (kind.field(index).type for index in range(kind.num_fields))
    return bool(arrow.types.is_dictionary(kind)) or any(map(_has_dictionary, inside))
