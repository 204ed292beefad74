"""SQLite files, for reading. The source to copy when adding one.

``sqlite:///relative/path.db`` or ``sqlite:////absolute/path.db``. The file is opened read-only and never created.

SQLite has types on values, not on columns; Arrow and everything after it has them on columns. So a column gets its
type from its declaration, or from the values of the first batch where the declaration says nothing, and a value that
does not fit it is an error naming table, column and row: nothing is bent, nothing becomes NULL. See
:mod:`penstock.connectors._sqlite_types` for the rules.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from sys import getsizeof
from typing import TYPE_CHECKING, final
from urllib.parse import quote

from penstock.connectors import _sqlite_types
from penstock.connectors._batches import Batches
from penstock.connectors._requests import SourceRequest
from penstock.connectors._sql import bare, select_statement
from penstock.connectors._uri import local_path, query_parameters
from penstock.core.cancel import on_cancel
from penstock.errors import ConfigurationError, SourceError
from penstock.flow.contracts import BatchStream
from penstock.flow.suggest import did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["SqliteSource", "source"]

_BUSY_SECONDS = 5.0
_LONGEST_VALUE_BYTES = 64 << 20
_MOST_NAMES_SHOWN = 10

Row = tuple[object, ...]


def source(request: SourceRequest) -> SqliteSource:
    """Make a source that reads a table or a query."""
    request.refuse("format", "compression", because="a database has rows, not stored bytes")
    address, _, query = request.uri.partition("?")
    query_parameters(query, known=frozenset(), where=request.shown)
    return SqliteSource(request, Path(local_path(address, "sqlite")))


@final
class SqliteSource:
    """Reads one SELECT. Use through :func:`penstock.connectors.open_source`."""

    byte_formats: frozenset[str] = frozenset()

    def __init__(self, request: SourceRequest, path: Path) -> None:
        self.display_name = request.shown if request.table is None else f"{request.shown} {request.table}"
        self.rows_read: int | None = None
        self._path = path
        self._statement = select_statement(request, _quoted_column)
        self._batch_bytes = request.batch_bytes

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
            schema = _sqlite_types.schema_of(rows.names, rows.declared_types, first)
            self.rows_read = 0
            yield Batches(schema, self._batches(rows, first, schema))

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
            connection = sqlite3.connect(
                address, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, cached_statements=0
            )
        except sqlite3.Error as exc:
            raise _translated(exc, self.display_name) from exc
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE_BYTES)
        return connection

    def _batches(self, rows: _Rows, first: list[Row], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        taken, read = first, 0
        while taken:
            yield _sqlite_types.record_batch(taken, schema, where=self.display_name, first_row=read + 1)
            read += len(taken)
            self.rows_read = read
            taken = rows.take()


class _Rows:
    """A running SELECT, handed out in lists of rows that weigh about ``batch_bytes``."""

    def __init__(self, connection: sqlite3.Connection, statement: str, where: str, batch_bytes: int) -> None:
        self._connection = connection
        self._where = where
        self._batch_bytes = batch_bytes
        with self._calling():
            declared = _declared_types(connection, statement)
            self._cursor = connection.execute(statement)
        if self._cursor.description is None:
            raise SourceError("the query returns no rows", where=where, hint="use a SELECT")
        self.names = [column[0] for column in self._cursor.description]
        self.declared_types = declared or [""] * len(self.names)

    def close(self) -> None:
        """Let go of the statement, also in the middle."""
        self._cursor.close()

    def take(self) -> list[Row]:
        """Block until there are rows enough, or no more; an empty list is the end."""
        rows: list[Row] = []
        size = 0
        with self._calling():
            for row in self._cursor:
                rows.append(row)
                size += sum(map(getsizeof, row))  # every row, because one wide one may weigh more than all before
                if size >= self._batch_bytes:
                    break
        return rows

    @contextmanager
    def _calling(self) -> Iterator[None]:
        """The one seam: SQLite may block in here, a cancel interrupts it, and its errors become ours."""
        with on_cancel(self._connection.interrupt):
            try:
                yield
            except sqlite3.Error as exc:
                raise _translated(exc, self._where, self._connection) from exc


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


def _translated(exc: sqlite3.Error, where: str, connection: sqlite3.Connection | None = None) -> SourceError:
    message = str(exc)
    missing = re.fullmatch(r"no such table: (?:main\.)?(.*)", message)
    if missing and connection is not None:
        return SourceError(f"no such table: {missing[1]}", where=where, hint=_tables_hint(connection, missing[1]))
    name = getattr(exc, "sqlite_errorname", "")
    hint, transient = _HINTS.get(name, ("", False))
    return SourceError(message, where=where, hint=hint, transient=transient)


_HINTS = {
    "SQLITE_BUSY": ("another process is writing to it; try again", True),
    "SQLITE_CANTOPEN": ("the user running this may not read it", False),
    "SQLITE_READONLY": ("sources are only read", False),
    "SQLITE_NOTADB": ("is it an SQLite file, and not encrypted?", False),
    "SQLITE_CORRUPT": ("the file is damaged", False),
    "SQLITE_TOOBIG": (f"a single value is larger than {_LONGEST_VALUE_BYTES >> 20} MiB", False),
    "SQLITE_IOERR_READ": ("is it a file?", False),
}


def _tables_hint(connection: sqlite3.Connection, missing: str) -> str:
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name")
    names = [name for (name,) in rows if not name.startswith("sqlite_")]
    if not names:
        return "the database has no tables"
    more = ", ..." if len(names) > _MOST_NAMES_SHOWN else ""
    return did_you_mean(missing, names, otherwise=f"there are {', '.join(names[:_MOST_NAMES_SHOWN])}{more}")
