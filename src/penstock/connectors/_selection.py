"""Select columns and limit rows of stored data (``columns``, ``limit``), where no database does it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, final

from penstock._extras import need
from penstock.connectors._absent import no_column
from penstock.errors import SourceError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Selection"]


@final
class Selection:
    """The columns and the number of rows wanted. It is false if everything is wanted.

    Args:
        columns: names of the columns, in the order wanted; None for all.
        limit: the most rows; None for all.
    """

    def __init__(self, columns: Sequence[str] | None, limit: int | None) -> None:
        self._columns = columns
        self._limit = limit

    def __bool__(self) -> bool:
        return self._columns is not None or self._limit is not None

    def at_most(self, rows: int) -> int:
        """Return how many rows are wanted if there are ``rows`` of them."""
        return rows if self._limit is None else min(rows, self._limit)

    def schema(self, schema: pa.Schema) -> pa.Schema:
        """Return ``schema`` with the columns wanted.

        Raises:
            SourceError: a column does not exist, or there are several of that name.
        """
        if self._columns is None:
            return schema
        arrow = need("pyarrow", extra="arrow", why="choose columns")
        chosen: pa.Schema = arrow.schema([schema.field(_position(name, schema.names)) for name in self._columns])
        return chosen

    def batches(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield what is wanted of ``batches``, and stop reading once the limit is reached."""
        left = self._limit
        while left is None or left > 0:
            batch = next(batches, None)
            if batch is None:
                return
            if left is not None:
                batch = batch.slice(0, left)
                left -= batch.num_rows
            yield (
                batch
                if self._columns is None
                else batch.select([_position(name, batch.schema.names) for name in self._columns])
            )
            del batch  # or it would be kept alive while the next one is read


def _position(name: str, names: Sequence[str]) -> int:
    if names.count(name) > 1:
        raise SourceError(f"there are {names.count(name)} columns called {name!r}")
    if name not in names:
        raise no_column(name, names)
    return names.index(name)
