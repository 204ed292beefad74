"""How large a batch of Arrow is that shares a dictionary with others, and batches that are too small to be worth their trouble."""

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

    Half a batch has all of the dictionary: by ``nbytes``, which counts it, one with a large dictionary would be cut into
    rows, none of them smaller than the dictionary.
    """
    is_dictionary = need("pyarrow", extra="arrow", why="hold tables").types.is_dictionary
    columns: list[Any] = batch.columns
    return sum(int((column.indices if is_dictionary(column.type) else column).nbytes) for column in columns)


def joined(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, few_bytes: int = _FEW_BYTES
) -> Iterator[pa.RecordBatch]:
    """Yield batches of less than ``few_bytes`` together, up to about that: each costs an encoder a millisecond.

    Only for batches that are there already: others would wait here for what comes after them.

    Args:
        batches: all of ``schema``.
        schema: where a dictionary is in it, they come as they are: Arrow can not join all of those.
        few_bytes: what is too small to come alone.
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
