"""How large a batch of Arrow is, when it shares a dictionary with the batch that it was cut from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock._extras import need

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["own_bytes"]


def own_bytes(batch: pa.RecordBatch) -> int:
    """Return the bytes of ``batch`` without the dictionaries of its columns.

    Half a batch has all of the dictionary: by ``nbytes``, which counts it, one with a large dictionary would be cut into
    rows, none of them smaller than the dictionary.
    """
    is_dictionary = need("pyarrow", extra="arrow", why="hold tables").types.is_dictionary
    columns: list[Any] = batch.columns
    return sum(int((column.indices if is_dictionary(column.type) else column).nbytes) for column in columns)
