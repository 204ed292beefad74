"""Insert Arrow batches into a table of an open DuckDB database, in row groups and parts that fit into its memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, final

from penstock._extras import need
from penstock.connectors.duckdb._cache import BlockCache
from penstock.connectors.duckdb._connection import Database
from penstock.connectors.duckdb._load import loadable
from penstock.flow.contracts import BatchStream

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["BATCH", "Incoming", "Inserter", "row_group_rows"]

BATCH = "penstock_batch"
"""The name under which a statement reads the current batch."""

_PREPARED = "penstock_insert"
_MOST_ROWS = 122_880  # of a row group: DuckDB's own number
_LEAST_ROWS = 2048  # of a row group: a vector, and every row group has a whole number of them
_SHARE = 4  # of the memory limit: what a row group may take before it is compressed
_COLUMNS_OF_A_PART = 128  # counted in each row group
_LEAST_ROW_GROUPS = 4  # of a part


def row_group_rows(memory_bytes: int, row_bytes: int) -> int:
    """Return how many rows a row group should have, of rows this wide.

    To write a row group, DuckDB needs all of it in memory. So those of wide rows have fewer rows than DuckDB's own number.
    Whoever opens the file later need not know: DuckDB reads them like any others, and joins small ones when it can.
    """
    fitting = memory_bytes // _SHARE // max(1, row_bytes)
    return max(_LEAST_ROWS, min(_MOST_ROWS, fitting // _LEAST_ROWS * _LEAST_ROWS))


@final
class Incoming:
    """The batches to load, which can be looked at before they are taken, and taken in parts.

    Until a file is closed, DuckDB keeps about 6 KB for each column of each row group it has written (2.0: 0.75 MB for a
    million rows of 16 columns, whether committed or not). So a new file is filled in parts of whole row groups, and closed
    and opened again after each.

    Attributes:
        schema: of the batches.
        ended: whether there are no more rows.
        rows: how many have been taken.
        taken_bytes: their size as Arrow batches.
    """

    def __init__(self, batches: BatchStream) -> None:
        self.schema = batches.schema
        self.ended = False
        self.rows = self.taken_bytes = 0
        self._batches = iter(batches)
        self._rest: pa.RecordBatch | None = None

    def next_row_bytes(self) -> int:
        """Return how wide the next rows are; 0 if there are no more. Blocks until that is known."""
        batch = self._rest = self._next()
        return 0 if batch is None else -(-batch.nbytes // batch.num_rows)

    def all(self) -> Iterator[pa.RecordBatch]:
        """Yield what is left."""
        while (batch := self._next()) is not None:
            self._count(batch)
            yield batch
            del batch  # or it would be kept alive while the next one is waited for

    def part(self, rows_of_a_row_group: int) -> Iterator[pa.RecordBatch]:
        """Yield the batches of the next part."""
        row_groups = max(_LEAST_ROW_GROUPS, _COLUMNS_OF_A_PART // max(1, len(self.schema)))
        room = row_groups * rows_of_a_row_group
        while room and (batch := self._next()) is not None:
            if batch.num_rows > room:
                self._rest = batch.slice(room)
                batch = batch.slice(0, room)
            room -= batch.num_rows
            self._count(batch)
            yield batch
            del batch  # as above

    def _count(self, batch: pa.RecordBatch) -> None:
        self.rows += batch.num_rows
        self.taken_bytes += batch.nbytes

    def _next(self) -> pa.RecordBatch | None:
        """Return the next batch with rows in it, or the rest of one; None at the end."""
        rest, self._rest = self._rest, None
        if rest is not None:
            return rest
        found = next((batch for batch in self._batches if batch.num_rows), None)
        self.ended = found is None
        return found


@final
class Inserter:
    """Inserts batches into a table of one open database.

    Args:
        database: open.
        statement: what to run for each batch, which it reads as :data:`BATCH`.
        schema: of the batches.
        where: for messages.
        rows_of_a_row_group: how many the database puts into one.
        cache: to be emptied now and then; None for one to be left alone.
    """

    def __init__(
        self,
        database: Database,
        statement: str,
        schema: pa.Schema,
        where: str,
        rows_of_a_row_group: int,
        cache: BlockCache | None,
    ) -> None:
        self._database = database
        self._where = where
        self._row_group = rows_of_a_row_group
        self._cache = cache
        self._rows = 0
        arrow = need("pyarrow", extra="arrow", why="load tables")
        self._current = _Current(loadable(arrow.RecordBatch.from_pylist([], schema=schema), where))
        with database.calling() as connection:
            connection.register(BATCH, self._current)
        database.run(f"PREPARE {_PREPARED} AS {statement}")  # planned once: of many columns that takes most of the time

    def insert(self, batches: Iterator[pa.RecordBatch]) -> None:
        """Insert batches, none of them empty. Blocks while the disk does.

        Raises:
            SinkError: DuckDB refused a row.
        """
        for batch in batches:
            with self._current.being(loadable(batch, self._where)):
                self._database.run(f"EXECUTE {_PREPARED}")
            row_groups = self._rows // self._row_group
            self._rows += batch.num_rows
            if self._cache is not None:
                self._cache.has_written(batch.nbytes, completed=self._rows // self._row_group > row_groups)
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
