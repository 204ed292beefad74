"""Read the rows of a page: packed into one value if possible, and one by one otherwise."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import closing
from typing import TYPE_CHECKING, final

from penstock.connectors.sqlite import _types as _sqlite_types
from penstock.connectors.sqlite._database import Database
from penstock.connectors.sqlite._order import Stretch
from penstock.connectors.sqlite._packing import MAYBE_NEGATIVE_ZERO, NEGATIVE_ZERO, Column, Packing
from penstock.connectors.sqlite._paged import TableInPages
from penstock.connectors.sqlite._rows import VALUE_BYTES, Rows

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["PageReader"]

_SHARE = 4  # of batch_bytes: a page is there as text in SQLite, in Python and in the parser, before it is a batch
_FIRST_GUESS_BYTES = 64  # of a value; the first page tells
_LEAST_ROWS = 16  # of a page worth packing
_MOST_ROWS = 1 << 17  # to look through, where few of them are wanted
_GROWTH = 4
_LONGEST_PAUSE = 64


@final
class PageReader:
    """Reads a table page by page, whatever the pages are; they grow and shrink with what the rows weigh.

    Args:
        database: open.
        table: to read.
        batch_bytes: about how much is wanted at a time.
        misfits: what to do about values that do not fit.
        span: where the rows are that may be wanted; the first of them decide types that are not declared.
        limit: the most rows; None for all.

    Attributes:
        schema: of the batches.
    """

    def __init__(
        self,
        database: Database,
        table: TableInPages,
        batch_bytes: int,
        misfits: _sqlite_types.Misfits,
        span: Stretch,
        limit: int | None,
    ) -> None:
        self._database = database
        self._table = table
        self._batch_bytes = batch_bytes
        self._misfits = misfits
        self._limit = limit
        self._page_rows = max(1, batch_bytes // _SHARE // (_FIRST_GUESS_BYTES * len(table.columns)))
        self._rows_of_page = self._read = 0
        self._pause = self._last_pause = 0  # pages not to try
        kinds = self._kinds(span)
        self.schema = _sqlite_types.arrow_schema([column.name for column in table.columns], kinds)
        knows_powers = database.attempt(f"SELECT {NEGATIVE_ZERO.format('?')}", -0.0, -0.0) == (1,)
        negative_zero = NEGATIVE_ZERO if knows_powers else MAYBE_NEGATIVE_ZERO
        encoding = database.encoding
        columns = [
            Column(
                of.sql,
                kind,
                is_computed=of.is_computed,
                negative_zero=negative_zero if of.has_negative_zero else "",
                encoding=encoding,
            )
            for of, kind in zip(table.columns, kinds, strict=True)
        ]
        self._packing = Packing(columns, database.connection.getlimit(sqlite3.SQLITE_LIMIT_FUNCTION_ARG))

    @property
    def left(self) -> int:
        """How many rows are wanted yet; SQLite's -1 for all."""
        return -1 if self._limit is None else self._limit - self._read

    @property
    def page_rows(self) -> int:
        """How many rows the next page is to have."""
        return max(self._page_rows, _LEAST_ROWS)

    def packed(self, page: Stretch, rows: int) -> pa.RecordBatch | None:
        """Return a page, of so many rows to look through, as one batch; None if it must be read row by row."""
        self._rows_of_page = rows
        if self._pause or self._page_rows < _LEAST_ROWS:
            self._pause = max(0, self._pause - 1)
            return None
        batch = self._attempt(page)
        # After a page that cannot be packed, the next ones probably cannot be packed either.
        self._last_pause = 0 if batch is not None else min(2 * self._last_pause or 1, _LONGEST_PAUSE)
        self._pause = self._last_pause
        return batch

    def batches(self, page: Stretch, packed: pa.RecordBatch | None) -> Generator[pa.RecordBatch]:
        """Iterate over the batches of a page, which :meth:`packed` has returned, or could not."""
        for batch in self._row_by_row(page) if packed is None else self._wanted(packed):
            rows = batch.num_rows
            yield batch
            self._read += rows
            del batch  # it may hold a wide value, and the next one is read now

    def _kinds(self, span: Stretch) -> list[str]:
        """Choose the types of the columns; the first rows decide where the declaration does not."""
        kinds = [_sqlite_types.declared_type(column.declared) for column in self._table.columns]
        open_columns = [column.sql for column, kind in zip(self._table.columns, kinds, strict=True) if kind is None]
        if not open_columns:
            return [kind for kind in kinds if kind is not None]
        # As many as would be a batch, row by row.
        rows = max(1, self._batch_bytes // (VALUE_BYTES * len(kinds)))
        limit = rows if self._limit is None else min(rows, self._limit)
        # Types first: a subquery that gives the column itself needs its collation, which SQLite may not know.
        names = [f"t{number}" for number in range(len(open_columns))]
        typed = ", ".join(f"typeof({sql}) AS {name}" for sql, name in zip(open_columns, names, strict=True))
        selected = ", ".join(f"group_concat(DISTINCT {name})" for name in names)
        first_rows = f"SELECT {selected} FROM ({self._table.page(typed, span)} LIMIT {limit:d})"  # noqa: S608 - names are quoted
        seen = iter(self._database.one(first_rows, *span.parameters))
        return [kind or _sqlite_types.kind_of_names((next(seen) or "").split(",")) for kind in kinds]

    def _wanted(self, batch: pa.RecordBatch) -> list[pa.RecordBatch]:
        return [batch if self.left < 0 else batch.slice(0, self.left)] if batch.num_rows else []

    def _attempt(self, page: Stretch) -> pa.RecordBatch | None:
        """Return a page as one batch; None if it cannot be packed, or is too large."""
        while True:
            statement = self._table.page(self._packing.selected, page)
            taken = self._database.attempt(statement, *page.parameters, longest_bytes=self._longest_bytes)
            if taken is None:
                return None
            rows, text, *raws = taken
            batch = self._packing.unpacked(rows, text or b"", raws, self.schema)
            if batch is not None:
                self._heed(sum(map(len, filter(None, (text, *raws)))))
                return batch
            if not self._turn(page):
                return None

    @property
    def _longest_bytes(self) -> int:
        """How long each of the values that hold a packed page may be."""
        return self._batch_bytes // self._packing.values_at_once

    def _turn(self, page: Stretch) -> bool:
        """Switch every column whose values do not fit its way to its next way; return whether there was one."""
        columns = [column for column in self._packing.columns if column.has_another_way]
        if not columns:
            return False
        selected = ", ".join(f"max({column.way.misfit_at_length})" for column in columns)
        found = self._database.one(self._table.page(selected, page), *page.parameters)
        turning = [column for column, does_not_fit in zip(columns, found, strict=True) if does_not_fit]
        for column in turning:
            column.turn()
        return bool(turning)

    def _row_by_row(self, page: Stretch) -> Generator[pa.RecordBatch]:
        size = 0
        statement = self._table.rows(page, self.left)
        with closing(Rows(self._database, statement, self._batch_bytes, *page.parameters, before=self._read)) as rows:
            while taken := rows.take():
                batch = _sqlite_types.record_batch(taken, self.schema, misfits=self._misfits, first_row=self._read + 1)
                rows.heed(batch.nbytes)
                size += batch.nbytes
                taken.clear()  # nobody needs them any more, and one of them may be wide
                yield batch
                del batch
        self._heed(size)

    def _heed(self, page_bytes: int) -> None:
        """Choose the size of the next page from the size of this one."""
        rows = self._rows_of_page
        wanted_bytes = min(self._batch_bytes // _SHARE, self._longest_bytes // 2)
        fitting = rows * wanted_bytes // max(1, page_bytes)
        self._page_rows = max(1, min(fitting, rows * _GROWTH, _MOST_ROWS))
