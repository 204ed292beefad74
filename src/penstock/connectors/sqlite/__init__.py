"""The connector of SQLite files, for reading and loading. To add a source of your own, start from this package.

``sqlite:///relative/path.db`` or ``sqlite:////absolute/path.db``. To be read, a file is opened read-only and never
created; loading a table is in :mod:`penstock.connectors.sqlite._sink`.

SQLite has types on values, not on columns; Arrow and everything after it has them on columns. So a column gets its
type from its declaration, or from the values of the first batch where the declaration says nothing. A value that does
not fit is an error that names table, column and row, or is treated as ``on_type_loss`` says; none is silently altered. See
:mod:`penstock.connectors.sqlite._types` for the rules.

A table is read in pages, by row number or, WITHOUT ROWID, by primary key, in one read transaction
(:mod:`penstock.connectors.sqlite._order`). SQLite packs a page into one value, and Arrow takes it apart: no Python object per
row (:mod:`penstock.connectors.sqlite._packing`). The packing checks every value; a page with one that does not fit, or that
weighs too much, is read row by row, which finds the words for what is wrong (:mod:`penstock.connectors.sqlite._rows`).

Queries and views are read row by row as a whole. To pack those SQLite would have to number and group their rows, which it does
by sorting them all, or to start again for every page; and an aggregate function of ours is called for every row. It costs: of
16 columns, 4.4 us of processor time a row against 1.7 (November 2026, SQLite 3.40), and the GIL.

ADBC, which reads into Arrow without, is only used to load (:mod:`penstock.connectors.sqlite._filling`): it cannot be interrupted,
types a column by its first batch, and brings an SQLite of its own, when two of them in one process break each other's locks on a
file (https://www.sqlite.org/howtocorrupt.html, 2.2.1).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, final

from penstock.connectors._batches import Batches
from penstock.connectors._requests import SinkRequest, SourceRequest
from penstock.connectors._sql import bare, select_statement
from penstock.connectors._uri import local_path, query_parameters
from penstock.connectors.sqlite import _types as _sqlite_types
from penstock.connectors.sqlite._database import Database, quoted_column
from penstock.connectors.sqlite._load import LOAD_TABLE
from penstock.connectors.sqlite._paged import TableInPages, in_pages
from penstock.connectors.sqlite._pages import Pages
from penstock.connectors.sqlite._rows import Row, Rows
from penstock.connectors.sqlite._sink import SqliteSink
from penstock.connectors.sqlite._types import TYPE_TABLE
from penstock.errors import ConfigurationError
from penstock.flow.contracts import BatchStream
from penstock.flow.description import ColumnType, Description

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["LOAD_TABLE", "TAKES_TABLES", "TYPE_TABLE", "SqliteSource", "sink", "source"]

TAKES_TABLES = True


def source(request: SourceRequest) -> SqliteSource:
    """Make a source that reads a table or a query."""
    request.refuse("format", "compression", because="a database has rows, not stored bytes")
    request.check_options()
    return SqliteSource(request, _path(request))


def sink(request: SinkRequest) -> SqliteSink:
    """Make a sink that loads a table."""
    request.refuse_method()
    request.check_options()
    if str(_path(request)) == ":memory:":
        raise ConfigurationError(f"{request.shown}: what is loaded into memory is gone when the copy ends; name a file")
    return SqliteSink(request, _path(request))


def _path(request: SourceRequest | SinkRequest) -> Path:
    address, _, query = request.uri.partition("?")
    query_parameters(query, known=frozenset(), where=request.shown)
    return Path(local_path(address, "sqlite"))


@final
class SqliteSource:
    """Reads one SELECT. Use through :func:`penstock.connectors.open_source`."""

    byte_formats: frozenset[str] = frozenset()

    def __init__(self, request: SourceRequest, path: Path) -> None:
        self.display_name = request.shown if request.table is None else f"{request.shown} {request.table}"
        self.rows_read: int | None = None
        self._path = path
        self._request = request
        self._statement = select_statement(request, quoted_column)
        self._table = request.table
        self._is_narrowed = request.where is not None or request.limit is not None
        self._batch_bytes = request.batch_bytes
        self._misfits = _sqlite_types.Misfits(request.on_type_loss, request.losses, self.display_name)

    def open_bytes(self, format_name: str) -> AbstractContextManager[Iterator[bytes]]:
        """Refuse: there are no stored bytes here, ``byte_formats`` is empty."""
        raise ConfigurationError(f"{self.display_name}: SQLite does not write {format_name} itself")

    @contextmanager
    def open_batches(self) -> Iterator[BatchStream]:
        """Read the first page, or the first rows, and give the stream. Leaving the block closes the connection.

        Connection and cursor belong to the calling thread, which is the one to iterate in.
        """
        may_lose = self._misfits.on_type_loss != "error"
        with closing(Database(self._path, self.display_name, self._request, keeps_broken_text=may_lose)) as database:
            way, declared = self._way(database)
            if isinstance(way, TableInPages):
                pages = Pages(database, way, self._batch_bytes, self._misfits)
                with closing(pages.batches()) as batches:
                    self.rows_read = 0
                    yield Batches(pages.schema, self._counted(batches))
                return
            with closing(Rows(database, self._statement, self._batch_bytes)) as rows:
                rows_taken = rows.take()
                kinds = declared or [""] * len(rows.names)
                as_text = self._is_text(database)
                schema = _sqlite_types.schema_of(rows.names, kinds, rows_taken, as_text=as_text)
                self.rows_read = 0
                yield Batches(schema, self._batches(rows, rows_taken, schema))

    def describe(self, format_name: str | None) -> Description:
        """Open the file, let SQLite say what the columns are, and close it; no row is read."""
        nothing = f"SELECT * FROM (\n{bare(self._statement)}\n) LIMIT 0"  # noqa: S608 - the query is the user's own
        with closing(Database(self._path, self.display_name, self._request)) as database:
            # The statement first: what is wrong with it should not be told about the one around it.
            way, declared = self._way(database)
            takes_nothing = declared is not None and database.attempt(f"EXPLAIN {nothing}") is not None
            statement = nothing if takes_nothing else self._statement  # a collation may be unknown; then it is begun
            with closing(Rows(database, statement, self._batch_bytes)) as rows:
                kinds = declared or [""] * len(rows.names)
                is_text = self._is_text(database)
                columns = tuple(
                    self._described(name, text, is_text=is_text) for name, text in zip(rows.names, kinds, strict=True)
                )
            estimated_rows = database.last_number(self._table) if self._table and not self._is_narrowed else None
        if isinstance(way, TableInPages):
            reading, why = (
                "pages of rows, which SQLite packs and Arrow unpacks",
                f"the table has {way.order.called} to page by",
            )
            consistency = "one read transaction: a snapshot"
        else:
            reading, why = "rows of one SELECT, made Arrow batches a column at a time", way
            consistency = "one SELECT: a snapshot"
        return Description(
            reading=reading, why=why, consistency=consistency, columns=columns, estimated_rows=estimated_rows
        )

    def _way(self, database: Database) -> tuple[TableInPages | str, list[str] | None]:
        """Return what to read in pages, or why not; and what the columns are declared as, if it is a SELECT."""
        if self._table is None:
            database.touch()
        else:
            database.begin()
        declared = database.declared_types(self._statement)
        if self._is_text(database):
            return "every value is made text, whatever it is", declared
        way = in_pages(database, self._request)
        return way, declared if isinstance(way, str) else [column.declared for column in way.columns]

    def _described(self, name: str, declared: str, *, is_text: bool) -> ColumnType:
        kind = "string" if is_text else _sqlite_types.declared_type(declared)
        note = "" if kind else "as the values of the first batch are"
        data_type = None if kind is None else _sqlite_types.arrow_type(kind)
        return ColumnType(name, declared or "not declared", kind or "", note, data_type)

    def _is_text(self, database: Database) -> bool:
        """Whether to read every column as text. Not for STRICT tables, whose columns hold no values of other types."""
        if self._misfits.on_type_loss != "text":
            return False
        return self._table is None or not database.is_strict(self._table)

    def _counted(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        read = 0
        for batch in batches:
            read += batch.num_rows
            yield batch
            self.rows_read = read
            del batch  # it may hold a wide value, and the next one is read now

    def _batches(self, rows: Rows, taken: list[Row], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        read = 0
        while taken:
            batch = _sqlite_types.record_batch(taken, schema, misfits=self._misfits, first_row=read + 1)
            rows.heed(batch.nbytes)
            read += len(taken)
            taken.clear()  # nobody needs them any more, and one of them may be wide
            yield batch
            self.rows_read = read
            del batch
            taken = rows.take()
