"""Keep DuckDB from caching everything it has read or written.

It caches every block of the database file until ``memory_limit`` is full, although a copy needs each only once: the larger
the table, the more memory, up to the limit. There is no setting against that, but lowering the limit for a moment makes
DuckDB release memory.
"""

from __future__ import annotations

from typing import final

from penstock.connectors.duckdb._connection import Database, Settings

__all__ = ["BlockCache"]

_EVERY_BYTES = 16 << 20  # of rows; DuckDB stores them in a fraction of that, and letting go takes some milliseconds
_EVERY_BYTES_OF_A_ROW_GROUP = 64 << 20  # what is not written yet goes to the temporary folder, and comes back
_LEAST_KEPT_BYTES = 16 << 20
_ROOM = 4  # how many batches of each thread must fit into what is kept; a scan needs two


@final
class BlockCache:
    """Empties DuckDB's cache now and then while one table is read or written from beginning to end.

    Not for queries, which may need all their memory at the very moment at which the limit is low.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._since_trimmed = 0
        self._widest_batch = 0

    def has_read(self, batch_bytes: int) -> None:
        """Count a batch that DuckDB has read, and empty the cache now and then. Leaves what wide rows need."""
        self._count(batch_bytes)
        if self._since_trimmed >= _EVERY_BYTES:
            self._trim(max(_LEAST_KEPT_BYTES, self._widest_batch * self._settings.threads * _ROOM))

    def has_written(self, batch_bytes: int, *, completed: bool) -> None:
        """Count a batch that DuckDB has taken, and empty the cache when it has written a row group, or one is very large.

        Args:
            batch_bytes: the size of the batch.
            completed: whether it completed a row group, so that hardly anything is held that has yet to be written.
        """
        self._count(batch_bytes)
        if completed or self._since_trimmed >= _EVERY_BYTES_OF_A_ROW_GROUP:
            self._trim(self._widest_batch * self._settings.threads)

    def _count(self, batch_bytes: int) -> None:
        self._since_trimmed += batch_bytes
        self._widest_batch = max(self._widest_batch, batch_bytes)

    def _trim(self, kept_bytes: int) -> None:
        self._since_trimmed = 0
        if kept_bytes <= self._settings.memory_bytes // 2:
            self._database.shrink(kept_bytes, back_to=self._settings.memory_bytes)
