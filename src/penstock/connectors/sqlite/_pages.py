"""Find the pages of a table, each of which begins where the one before ended."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, final

from penstock.connectors.sqlite import _types as _sqlite_types
from penstock.connectors.sqlite._database import Database
from penstock.connectors.sqlite._order import Position, Stretch
from penstock.connectors.sqlite._page_reader import PageReader
from penstock.connectors.sqlite._paged import TableInPages

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Pages"]


@final
class Pages:
    """The pages of a table, in a snapshot that has begun.

    Attributes:
        schema: of the batches.
    """

    def __init__(
        self, database: Database, table: TableInPages, batch_bytes: int, misfits: _sqlite_types.Misfits
    ) -> None:
        self._database = database
        self._table = table
        span = self._spanned()
        self._span = span or Stretch()
        self._reader = PageReader(database, table, batch_bytes, misfits, self._span, table.limit if span else 0)
        self.schema = self._reader.schema
        self._begun: tuple[Stretch, pa.RecordBatch | None] | None = None
        if self._reader.left != 0:
            self._begun = self._next(self._span.after)

    def batches(self) -> Generator[pa.RecordBatch]:
        """Iterate over the batches; blocks while SQLite reads a page."""
        after, is_end = self._span.after, False
        while not is_end and self._reader.left != 0:
            page, packed = self._begun or self._next(after)
            self._begun = None
            yield from self._reader.batches(page, packed)
            packed = None  # it is not to be held beside the next
            after, is_end = page.last, page.last is self._span.last

    def _next(self, after: Position | None) -> tuple[Stretch, pa.RecordBatch | None]:
        """Return the next page's stretch of the table, and its batch; None if it must be read row by row."""
        page = self._page(after)
        return page, self._reader.packed(page, self._reader.page_rows)

    def _page(self, after: Position | None) -> Stretch:
        """Return where the next page is; the last one ends where everything does."""
        rows, left = self._reader.page_rows, self._reader.left
        if left >= 0 and not self._table.is_narrowed:
            rows = min(rows, left)
        rest = Stretch(after, self._span.last)
        end = self._position(self._table.end(rest, rows), *rest.parameters)
        return rest if end is None else Stretch(after, end)

    def _spanned(self) -> Stretch | None:
        """Return where the rows are that may be wanted; None for nowhere."""
        if not self._table.is_range:
            return Stretch()
        first, last = map(self._position, self._table.bounds)
        if first is None or last is None:
            return None
        return Stretch(self._position(self._table.before(first), *first.values), last)

    def _position(self, statement: str, *parameters: object) -> Position | None:
        found = self._database.one(statement, *parameters)
        return None if found is None else self._table.order.position_of(found)
