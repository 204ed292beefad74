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

    def has_moved(self, batch_bytes: int) -> None:
        """Count a batch that DuckDB has read or written, and empty the cache now and then. Leaves what wide rows need."""
        self._since_trimmed += batch_bytes
        self._widest_batch = max(self._widest_batch, batch_bytes)
        if self._since_trimmed < _EVERY_BYTES:
            return
        self._since_trimmed = 0
        kept = max(_LEAST_KEPT_BYTES, self._widest_batch * self._settings.threads * _ROOM)
        if kept <= self._settings.memory_bytes // 2:
            self._database.shrink(kept, back_to=self._settings.memory_bytes)
