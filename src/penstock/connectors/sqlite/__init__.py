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

The rows of a query or view have no order to page by. SQLite collects a page of them in a temporary table, which is read in
the same way (:mod:`penstock.connectors.sqlite._collecting`). To number and group them instead it would sort them all, or start
again for every page; and an aggregate function of ours would be called for every row.

ADBC, which reads into Arrow without, is only used to load (:mod:`penstock.connectors.sqlite._filling`): it cannot be interrupted,
types a column by its first batch, and brings an SQLite of its own, when two of them in one process break each other's locks on a
file (https://www.sqlite.org/howtocorrupt.html, 2.2.1).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, final

from penstock.connectors._batches import Batches
from penstock.connectors._pulled import pulled
from penstock.connectors._requests import SinkRequest, SourceRequest
from penstock.connectors._sql import bare, select_statement
from penstock.connectors._uri import local_path, query_parameters
from penstock.connectors.sqlite import _types as _sqlite_types
from penstock.connectors.sqlite._collecting import Collecting, collecting
from penstock.connectors.sqlite._database import Database, quoted_column
from penstock.connectors.sqlite._load import LOAD_TABLE
from penstock.connectors.sqlite._paged import TableInPages, in_pages, unpackable
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


class _Way(NamedTuple):
    """How to read.

    Attributes:
        takes: what gives pages; None to read row by row.
        why: in words.
        columns: their names and declarations, where SQLite tells them before it runs anything.
    """

    takes: TableInPages | Collecting | None
    why: str
    columns: list[tuple[str, str]] | None


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

        The calling thread is the one to iterate in.
        """
        may_lose = self._misfits.on_type_loss != "error"
        with closing(Database(self._path, self.display_name, self._request, keeps_broken_text=may_lose)) as database:
            way, _why, columns = self._way(database)
            if isinstance(way, Collecting):
                with pulled(way.run, "penstock-sqlite") as collected:
                    schema = next(collected)
                    self.rows_read = 0
                    yield Batches(schema, self._counted(collected))
                return
            if way is not None:
                pages = Pages(database, way, self._batch_bytes, self._misfits)
                with closing(pages.batches()) as batches:
                    self.rows_read = 0
                    yield Batches(pages.schema, self._counted(batches))
                return
            with closing(Rows(database, self._statement, self._batch_bytes)) as rows:
                rows_taken = rows.take()
                kinds = _declared(columns, rows)
                as_text = self._is_text(database)
                schema = _sqlite_types.schema_of(rows.names, kinds, rows_taken, as_text=as_text)
                self.rows_read = 0
                yield Batches(schema, self._batches(rows, rows_taken, schema))

    def describe(self, format_name: str | None) -> Description:
        """Open the file, let SQLite say what the columns are, and close it; no row is read."""
        with closing(Database(self._path, self.display_name, self._request)) as database:
            way, why, columns = self._way(database)
            if way is None or columns is None:
                columns = self._of_no_rows(database, columns)
            is_text = self._is_text(database)
            described = tuple(self._described(name, declared, is_text=is_text) for name, declared in columns)
            estimated_rows = database.last_number(self._table) if self._table and not self._is_narrowed else None
        if isinstance(way, TableInPages):
            reading = "pages of rows, which SQLite packs and Arrow unpacks"
            consistency = "one read transaction: a snapshot"
        else:
            reading = "rows of one SELECT, " + (
                "which SQLite collects and packs by the page, and Arrow unpacks"
                if way is not None
                else "made Arrow batches a column at a time"
            )
            consistency = "one SELECT: a snapshot"
        return Description(
            reading=reading, why=why, consistency=consistency, columns=described, estimated_rows=estimated_rows
        )

    def _of_no_rows(self, database: Database, columns: list[tuple[str, str]] | None) -> list[tuple[str, str]]:
        """Begin the statement, for the names of its columns, or for what is wrong with it."""
        nothing = f"SELECT * FROM (\n{bare(self._statement)}\n) LIMIT 0"  # noqa: S608 - the query is the user's own
        takes_nothing = columns is not None and database.attempt(f"EXPLAIN {nothing}") is not None
        statement = nothing if takes_nothing else self._statement  # a collation may be unknown
        with closing(Rows(database, statement, self._batch_bytes)) as rows:
            return list(zip(rows.names, _declared(columns, rows), strict=True))

    def _way(self, database: Database) -> _Way:
        if self._table is None:
            database.touch()
        else:
            database.begin()
        columns = database.columns(self._statement)
        if self._is_text(database):
            return _Way(None, "every value is made text, whatever it is", columns)
        if because := unpackable(database):
            return _Way(None, because, columns)
        in_order = in_pages(database, self._request)
        if isinstance(in_order, TableInPages):
            columns = [(column.name, column.declared) for column in in_order.columns]
            return _Way(in_order, f"the table has {in_order.order.called} to page by", columns)
        collected = collecting(database, self._statement, columns, self._batch_bytes, self._misfits)
        if isinstance(collected, str):
            return _Way(None, f"{in_order}; {collected}", columns)
        return _Way(collected, in_order, collected.columns)

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


def _declared(columns: list[tuple[str, str]] | None, rows: Rows) -> list[str]:
    return [""] * len(rows.names) if columns is None else [declared for _name, declared in columns]
