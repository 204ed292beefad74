"""Insert Arrow batches into a table of an open DuckDB database, and divide a load into transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from penstock._extras import need
from penstock.connectors.duckdb._cache import BlockCache
from penstock.connectors.duckdb._connection import Database
from penstock.connectors.duckdb._load import loadable
from penstock.flow.contracts import BatchStream

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["BATCH", "Loaded", "Parts", "insert_all"]

BATCH = "penstock_batch"
"""The name under which a statement reads the current batch."""

_ROW_GROUP_ROWS = 122_880  # of a table of DuckDB
_VALUES_OF_A_PART = 16 << 20


@dataclass
class Loaded:
    """What has been inserted so far.

    Attributes:
        rows: how many rows.
        taken_bytes: their size as Arrow batches.
    """

    rows: int = 0
    taken_bytes: int = 0


def insert_all(
    database: Database, statement: str, batches: BatchStream, loaded: Loaded, where: str, cache: BlockCache | None
) -> None:
    """Run ``statement`` for each batch, which it reads as :data:`BATCH`, and add them to ``loaded``.

    Blocks while the disk does. Small batches cost as much time as large ones.

    Raises:
        SinkError: DuckDB refused a row.
    """
    empty = need("pyarrow", extra="arrow", why="load tables").RecordBatch.from_pylist([], schema=batches.schema)
    current = _Current(loadable(empty, where))
    with database.calling() as connection:
        connection.register(BATCH, current)
    for batch in batches:
        if batch.num_rows:
            with current.being(loadable(batch, where)):
                database.run(statement)
        row_groups = loaded.rows // _ROW_GROUP_ROWS
        loaded.rows += batch.num_rows
        loaded.taken_bytes += batch.nbytes
        if cache is not None:
            cache.has_written(batch.nbytes, completed=loaded.rows // _ROW_GROUP_ROWS > row_groups)


@final
class Parts:
    """Divides a stream into parts of a fixed number of rows, whole row groups, to be committed one by one.

    Until a file is closed, DuckDB keeps about 6 KB for each column of each row group it has written (2.0: 0.75 MB for a
    million rows of 16 columns, whether committed or not). So a new file is closed and opened again now and then.

    Attributes:
        ended: whether there are no more rows.
    """

    def __init__(self, batches: BatchStream) -> None:
        self.schema = batches.schema
        self.ended = False
        self._batches = iter(batches)
        self._rest: pa.RecordBatch | None = None
        row_groups = _VALUES_OF_A_PART // (_ROW_GROUP_ROWS * max(1, len(batches.schema)))
        self._rows_each = _ROW_GROUP_ROWS * max(1, row_groups)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield the batches of the next part."""
        room = self._rows_each
        while room:
            batch, self._rest = self._rest or next(self._batches, None), None
            if batch is None:
                self.ended = True
                return
            if batch.num_rows > room:
                self._rest = batch.slice(room)
                batch = batch.slice(0, room)
            room -= batch.num_rows
            yield batch
            del batch  # or it would be kept alive while the next one is waited for


@final
class _Current:
    """The current batch, registered with DuckDB once for all batches.

    Registering makes a view. If each batch had its own, DuckDB would keep them all, with their data, until the transaction
    ends.
    """

    def __init__(self, empty: pa.RecordBatch) -> None:
        self._batch = self._empty = empty

    @contextmanager
    def being(self, batch: pa.RecordBatch) -> Iterator[None]:
        """Stand for this batch during the block, and for no rows afterwards."""
        self._batch = batch
        try:
            yield
        finally:
            self._batch = self._empty

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        arrow = need("pyarrow", extra="arrow", why="load tables")
        reader = arrow.RecordBatchReader.from_batches(self._batch.schema, [self._batch])
        stream: object = reader.__arrow_c_stream__(requested_schema)
        return stream
