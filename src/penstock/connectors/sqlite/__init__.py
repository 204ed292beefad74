"""SQLite files, both ways. The source to copy when adding one.

``sqlite:///relative/path.db`` or ``sqlite:////absolute/path.db``. To be read, a file is opened read-only and never
created; loading a table is in :mod:`penstock.connectors.sqlite._sink`.

SQLite has types on values, not on columns; Arrow and everything after it has them on columns. So a column gets its
type from its declaration, or from the values of the first batch where the declaration says nothing, and a value that
does not fit it is an error naming table, column and row (or what ``on_type_loss`` says): nothing is bent. See
:mod:`penstock.connectors.sqlite._types` for the rules.

Rows pass through Python here, which no other plain copy does, and each value is looked at and weighed. It costs: Python's
cursor alone hands out twice as many rows a second, and the ADBC driver, which reads into Arrow without, nearly four
times as many (225,000 and 400,000 against 110,000 rows of 16 columns on a busy machine). ADBC is not used, because it can not be
interrupted, types a column by its first batch, and brings an SQLite of its own, when two of them in one process break
each other's locks on a file (https://www.sqlite.org/howtocorrupt.html, 2.2.1).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from operator import length_hint
from pathlib import Path
from typing import TYPE_CHECKING, final
from urllib.parse import quote

from penstock.connectors._batches import Batches
from penstock.connectors._interrupting import interrupting
from penstock.connectors._requests import SinkRequest, SourceRequest
from penstock.connectors._sql import bare, quoted_path, select_statement
from penstock.connectors._uri import local_path, query_parameters
from penstock.connectors.sqlite import _types as _sqlite_types
from penstock.connectors.sqlite._errors import LONGEST_VALUE_BYTES, patiently, translated
from penstock.connectors.sqlite._load import LOAD_TABLE
from penstock.connectors.sqlite._sink import SqliteSink
from penstock.connectors.sqlite._types import TYPE_TABLE
from penstock.errors import ConfigurationError, SourceError
from penstock.flow.contracts import BatchStream
from penstock.flow.description import ColumnType, Description
from penstock.flow.suggest import did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["LOAD_TABLE", "TAKES_TABLES", "TYPE_TABLE", "SqliteSource", "sink", "source"]

TAKES_TABLES = True

_BUSY_SECONDS = 5.0
_VALUE_BYTES = 40  # a number as a Python object; text and bytes are as much and their length
_ROW_OVERHEAD_BYTES = 64 << 10  # SQLite's limit is on whole rows, ours on a value

Row = tuple[object, ...]


def source(request: SourceRequest) -> SqliteSource:
    """Make a source that reads a table or a query."""
    request.refuse("format", "compression", because="a database has rows, not stored bytes")
    request.check_options()
    return SqliteSource(request, _path(request))


def sink(request: SinkRequest) -> SqliteSink:
    """Make a sink that loads a table."""
    request.refuse_method()
    request.check_options()
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
        self._statement = select_statement(request, _quoted_column)
        self._table = request.table
        self._is_narrowed = request.where is not None or request.limit is not None
        self._batch_bytes = request.batch_bytes
        self._misfits = _sqlite_types.Misfits(request.on_type_loss, request.losses, self.display_name)

    def open_bytes(self, format_name: str) -> AbstractContextManager[Iterator[bytes]]:
        """Refuse: there are no stored bytes here, ``byte_formats`` is empty."""
        raise ConfigurationError(f"{self.display_name}: SQLite does not write {format_name} itself")

    @contextmanager
    def open_batches(self) -> Iterator[BatchStream]:
        """Run the SELECT, read the first batch, and give the stream. Leaving the block closes the connection.

        Connection and cursor belong to the calling thread, which is the one to iterate in.
        """
        with (
            closing(self._connect()) as connection,
            closing(_Rows(connection, self._statement, self.display_name, self._batch_bytes)) as rows,
        ):
            first = rows.take()
            schema = _sqlite_types.schema_of(rows.names, rows.declared_types, first, as_text=self._is_text(rows))
            self.rows_read = 0
            yield Batches(schema, self._batches(rows, first, schema))

    def describe(self, format_name: str | None) -> Description:
        """Open the file, let SQLite say what the columns are, and close it; no row is read."""
        nothing = f"SELECT * FROM (\n{bare(self._statement)}\n) LIMIT 0"  # noqa: S608 - the query is the user's own
        with closing(self._connect()) as connection:
            # The statement first: what is wrong with it should not be told about the one around it.
            declared = _declared_types(connection, self._statement)
            statement = self._statement if declared is None else nothing
            with closing(_Rows(connection, statement, self.display_name, self._batch_bytes)) as rows:
                columns = tuple(
                    self._described(name, text, is_text=self._is_text(rows))
                    for name, text in zip(rows.names, declared or rows.declared_types, strict=True)
                )
                estimated_rows = rows.last_number(self._table) if self._table and not self._is_narrowed else None
        return Description(
            reading="rows of one SELECT, made Arrow batches a column at a time",
            why="SQLite has types on values: every one is looked at",
            consistency="one SELECT: a snapshot",
            columns=columns,
            estimated_rows=estimated_rows,
        )

    def _described(self, name: str, declared: str, *, is_text: bool) -> ColumnType:
        kind = "string" if is_text else _sqlite_types.declared_type(declared)
        note = "" if kind else "as the values of the first batch are"
        data_type = None if kind is None else _sqlite_types.arrow_type(kind)
        return ColumnType(name, declared or "not declared", kind or "", note, data_type)

    def _is_text(self, rows: _Rows) -> bool:
        """Whether every column is to be text. Only a STRICT table lets no other value into a column."""
        if self._misfits.on_type_loss != "text":
            return False
        return self._table is None or not rows.is_strict(self._table)

    def _connect(self) -> sqlite3.Connection:
        if not self._path.exists():
            names = [entry.name for entry in self._path.parent.glob("*")]
            hint = did_you_mean(
                self._path.name, names, otherwise="is the path right? It is relative after three slashes"
            )
            raise SourceError("no such file", where=self.display_name, hint=hint)
        address = f"file:{quote(str(self._path))}?mode=ro"
        try:
            # No cache of statements: SQLite keeps a closed file open for as long as a statement of it lives.
            # No waiting for locks of its own: no cancel would wake it.
            connection = sqlite3.connect(address, uri=True, timeout=0, isolation_level=None, cached_statements=0)
        except sqlite3.Error as exc:
            raise translated(exc, self.display_name, error=SourceError) from exc
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE_BYTES + _ROW_OVERHEAD_BYTES)
        return connection

    def _batches(self, rows: _Rows, taken: list[Row], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
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


class _Rows:
    """A running SELECT, handed out in lists of rows that weigh about ``batch_bytes``."""

    def __init__(self, connection: sqlite3.Connection, statement: str, where: str, batch_bytes: int) -> None:
        self._connection = connection
        self._where = where
        self._batch_bytes = self._budget_bytes = batch_bytes
        self._taken_bytes = 0
        self._held: list[Row] = []
        with self._calling():
            patiently(lambda: connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").close(), _BUSY_SECONDS)
            declared = _declared_types(connection, statement)
            self._cursor = patiently(lambda: connection.execute(statement), _BUSY_SECONDS)
        if self._cursor.description is None:
            raise SourceError("the query returns no rows", where=where, hint="use a SELECT")
        self.names = [column[0] for column in self._cursor.description]
        self.declared_types = declared or [""] * len(self.names)

    def close(self) -> None:
        """Let go of the statement, also in the middle."""
        self._cursor.close()

    def take(self) -> list[Row]:
        """Block until there are rows enough, or no more; an empty list is the end."""
        rows, self._held = self._held, []
        size = self._weight(rows[0]) if rows else 0
        least = _VALUE_BYTES * len(self.names)
        with self._calling():
            for row in self._cursor if size < self._budget_bytes else ():
                rows.append(row)
                # Every row, because one wide one may weigh more than all before. length_hint() is zero for what has
                # no length, and takes a quarter of the time of sys.getsizeof().
                size += least + sum(map(length_hint, row))
                if size >= self._budget_bytes:
                    break
        if len(rows) > 1 and (weight := self._weight(rows[-1])) >= self._budget_bytes:
            self._held, size = [rows.pop()], size - weight  # a wide row comes alone, which takes no copy of it
        self._taken_bytes = size
        return rows

    def _weight(self, row: Row) -> int:
        return _VALUE_BYTES * len(self.names) + sum(map(length_hint, row))

    def heed(self, batch_bytes: int) -> None:
        """Take fewer characters from now on, where the last rows made a larger batch: some have four bytes."""
        if batch_bytes > self._taken_bytes:
            self._budget_bytes = max(1, self._batch_bytes * self._taken_bytes // batch_bytes)

    def is_strict(self, table: str) -> bool:
        """Whether SQLite holds every value of the table to the type of its column."""
        schema, _, name = table.rpartition(".")
        query = "SELECT strict FROM pragma_table_list(?) WHERE schema = ?"
        with self._calling():
            found = self._connection.execute(query, [name, schema or "main"]).fetchone()
        return bool(found and found[0])

    def last_number(self, table: str) -> int | None:
        """Return the largest row number of a table, which it tells without being read; None where it has none."""
        try:
            found = self._connection.execute(f"SELECT max(rowid) FROM {quoted_path(table)}").fetchone()  # noqa: S608
        except sqlite3.Error:
            return None  # a view, or a table WITHOUT ROWID
        number = found[0] or 0
        return number if isinstance(number, int) else None

    @contextmanager
    def _calling(self) -> Iterator[None]:
        """The one seam: SQLite may block in here, a cancel interrupts it, and its errors become ours."""
        with interrupting(self._connection.interrupt):
            try:
                yield
            except sqlite3.Error as exc:
                raise translated(exc, self._where, self._connection, error=SourceError) from exc


def _declared_types(connection: sqlite3.Connection, statement: str) -> list[str] | None:
    """Return what the columns of ``statement`` were declared as, ``""`` for expressions; None if it is no SELECT.

    SQLite tells that only of tables and views, so the statement becomes a temporary view for a moment.
    """
    try:
        connection.execute(f"CREATE TEMP VIEW penstock AS\n{bare(statement)}")
        try:
            return [row[2] for row in connection.execute("PRAGMA temp.table_info(penstock)")]
        finally:
            connection.execute("DROP VIEW temp.penstock")
    except sqlite3.Error:
        return None  # what is wrong with it, running it will tell


def _quoted_column(name: str) -> str:
    """Quote with backticks: what is in double quotes and no column, SQLite takes for a string."""
    return "`" + name.replace("`", "``") + "`"
