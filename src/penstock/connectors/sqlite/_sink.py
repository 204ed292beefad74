"""Load a table of an SQLite file, inside one transaction.

Values go through Python, a thousand rows at a time. What takes Arrow as it is, the ADBC driver, is twice as fast, but
brings an SQLite of its own, and two of them in one process break each other's locks on a file (closing a file in one
releases the locks of the other: https://www.sqlite.org/howtocorrupt.html, 2.2.1); nor can it be interrupted, nor does
it know decimals.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, final
from urllib.parse import quote

from penstock.connectors._database_files import refuse_special
from penstock.connectors._interrupting import interrupting
from penstock.connectors._new_database import check_folder, new_database
from penstock.connectors._requests import SinkRequest
from penstock.connectors._sql import quoted, quoted_path
from penstock.connectors._table_columns import refuse_repeated
from penstock.connectors.sqlite._errors import patiently, translated
from penstock.connectors.sqlite._fit import TargetColumn
from penstock.connectors.sqlite._load import Column, Loader
from penstock.core.cancel import check_cancelled
from penstock.errors import AlreadyExists, ConfigurationError, SinkError
from penstock.flow.contracts import BatchStream, Receipt
from penstock.flow.units import format_bytes

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["SqliteSink"]

_BUSY_SECONDS = 5.0
_MOST_UNWRITTEN_BYTES = 64 << 20  # of Arrow data, into a file that is being read without WAL
_ROWS_AT_ONCE = 1000  # between two of them a cancel is noticed
_IS_STRICT = 5  # of the row of PRAGMA table_list
_NAME, _DECLARED, _HIDDEN = 1, 2, 6  # of PRAGMA table_xinfo
_GENERATED = frozenset({2, 3})  # virtual, stored; 1 is hidden in a virtual table
_READING, _WRITING, _CREATING = "ro", "rw", "rwc"


@final
class SqliteSink:
    """Loads one table. Use through :func:`penstock.connectors.open_sink`.

    A file that is not there yet is filled under another name and appears when it is complete. One that is there is
    changed inside a transaction: readers see all of it or nothing, and other writers wait.
    """

    def __init__(
        self, request: SinkRequest, path: Path, source_reads: Callable[[Path], bool] = lambda _path: False
    ) -> None:
        if not request.table:
            raise ConfigurationError(f"{request.shown}: say which table to load (--to-table)")
        self.display_name = f"{request.shown} {request.table}"
        self._path = path
        self._table = request.table
        self._if_exists = request.if_exists
        self._formats = request.formats
        self._source_reads = source_reads

    def check(self) -> bool:
        """Look at file and table, through a read-only connection; False means skip the copy.

        Raises:
            AlreadyExists: the table is there and ``if_exists`` is ``"fail"``.
            SinkError: the file is no database, is locked, or may not be written.
        """
        if not self._path.exists():
            check_folder(self._path, self.display_name)
            return True
        refuse_special(self._path, self.display_name, SinkError)
        check_folder(self._path, self.display_name)  # the journal is created beside it
        with self._connected(self._path, _READING) as connection:
            is_there = self._is_there(connection)
        if is_there and self._if_exists == "fail":
            raise self._already_exists()
        return not (is_there and self._if_exists == "skip")

    def column_types(self, schema: pa.Schema) -> tuple[str, ...]:
        """Return the types that the columns of a new table would have. Touches nothing.

        Raises:
            SinkError: SQLite cannot hold one of them, or takes two of their names for one.
        """
        refuse_repeated(schema.names, self.display_name)
        return tuple(Loader(schema, where=self.display_name, formats=self._formats).types)

    def load(self, batches: BatchStream) -> Receipt:
        """Load every batch, then commit. Blocks while the disk does, or another process writes.

        Raises:
            AlreadyExists: the table, or the file, appeared meanwhile.
            SinkError: SQLite refused, or a value has no exact form there; or much is to be loaded into the file that is
                being read, which has no WAL.
        """
        if self._path.exists():
            try:
                with self._connected(self._path, _WRITING) as connection:
                    rows, taken_bytes = self._load_into(connection, batches)
            except BaseException:
                self._finish_rolling_back()
                raise
        else:
            with new_database(self._path, self.display_name) as temporary:
                rows, taken_bytes = self._create(temporary, batches)
        details = {"rows": rows, "table": self._table}
        return Receipt(location=self.display_name, bytes_stored=taken_bytes, details=details)

    def _finish_rolling_back(self) -> None:
        """Reopen the file after a full disk: SQLite leaves the rest of the rollback, and the journal, to the next opening."""
        if not self._path.with_name(f"{self._path.name}-journal").exists():
            return
        try:
            with closing(sqlite3.connect(_address(self._path, _WRITING), uri=True, timeout=0)) as connection:
                connection.execute("SELECT 1 FROM sqlite_master").close()
        except sqlite3.Error:
            return  # another has it open, and will

    def _create(self, path: Path, batches: BatchStream) -> tuple[int, int]:
        with self._connected(path, _CREATING) as connection:
            # It is dropped as a whole when anything fails, and forced to the disk as a whole.
            self._run(connection, "PRAGMA journal_mode = OFF")
            self._run(connection, "PRAGMA synchronous = OFF")
            return self._load_into(connection, batches)

    def _load_into(self, connection: sqlite3.Connection, batches: BatchStream) -> tuple[int, int]:
        schema = batches.schema
        refuse_repeated(schema.names, self.display_name)
        loader = Loader(schema, where=self.display_name, formats=self._formats)
        rows = taken_bytes = 0
        self._run(connection, "BEGIN IMMEDIATE")
        try:
            statement = self._prepared(connection, schema, loader)
            is_held_back = self._source_reads(self._path) and not self._has_wal(connection)
            for batch in batches:
                if is_held_back and taken_bytes > _MOST_UNWRITTEN_BYTES:
                    raise self._held_back()
                self._insert(connection, statement, loader.columns(batch))
                rows += batch.num_rows
                taken_bytes += batch.nbytes
            check_cancelled()
            self._run(connection, "COMMIT")
        except BaseException:
            connection.rollback()
            raise
        return rows, taken_bytes

    def _has_wal(self, connection: sqlite3.Connection) -> bool:
        with self._calling(connection):
            mode: str = connection.execute("PRAGMA journal_mode").fetchone()[0]
        return mode == "wal"

    def _held_back(self) -> SinkError:
        """Return the error for a load that SQLite would have to hold in memory, whole: it writes nothing below a reader."""
        return SinkError(
            f"the table is in the file that is being read, and more than {format_bytes(_MOST_UNWRITTEN_BYTES)}; SQLite writes "
            "nothing into a file that has a reader, and would hold all of it in memory",
            where=self.display_name,
            hint="switch the file to WAL (PRAGMA journal_mode = WAL), or load into another file",
        )

    def _insert(self, connection: sqlite3.Connection, statement: str, columns: list[Column]) -> None:
        for first in range(0, len(columns[0]), _ROWS_AT_ONCE):
            values = [column.slice(first, _ROWS_AT_ONCE).to_pylist() for column in columns]
            with self._calling(connection):
                connection.executemany(statement, zip(*values, strict=True))

    def _prepared(self, connection: sqlite3.Connection, schema: pa.Schema, loader: Loader) -> str:
        """Make the table what it has to be, and return the statement that loads a row into it."""
        target = quoted_path(self._table)
        is_there = self._is_there(connection)
        if is_there and self._if_exists == "append":
            loader.fit_to(self._columns_there(connection))
        else:
            if is_there and self._if_exists != "overwrite":
                raise self._already_exists()
            if is_there:
                self._run(connection, f"DROP TABLE {target}")
            declared = ", ".join(
                f"{quoted(name)} {kind}" for name, kind in zip(schema.names, loader.types, strict=True)
            )
            self._run(connection, f"CREATE TABLE {target} ({declared})")
        names = ", ".join(map(quoted, schema.names))
        marks = ", ".join("?" * len(schema))
        return f"INSERT INTO {target} ({names}) VALUES ({marks})"  # noqa: S608 - names are quoted

    def _columns_there(self, connection: sqlite3.Connection) -> dict[str, TargetColumn]:
        """Return the columns of the table by their names in lower case, which is how SQLite tells them apart."""
        schema, dot, name = self._table.rpartition(".")
        pragma = f"PRAGMA {quoted(schema) + dot if dot else ''}"
        with self._calling(connection):
            tables = connection.execute(f"{pragma}table_list({quoted(name)})").fetchall()  # none before SQLite 3.37
            columns = connection.execute(f"{pragma}table_xinfo({quoted(name)})").fetchall()
        is_strict = any(table[_IS_STRICT] for table in tables)
        return {
            column[_NAME].lower(): TargetColumn(column[_DECLARED], is_strict, column[_HIDDEN] in _GENERATED)
            for column in columns
        }

    def _is_there(self, connection: sqlite3.Connection) -> bool:
        schema, _, name = self._table.rpartition(".")
        known = f"{quoted(schema or 'main')}.sqlite_master"
        query = f"SELECT 1 FROM {known} WHERE name = ? COLLATE NOCASE AND type IN ('table', 'view')"  # noqa: S608
        with self._calling(connection):
            return patiently(lambda: connection.execute(query, [name]).fetchone(), _BUSY_SECONDS) is not None

    # --- SQLite: the one seam -----------------------------------------------------------------------------------

    @contextmanager
    def _connected(self, path: Path, mode: str) -> Iterator[sqlite3.Connection]:
        try:
            # No waiting for locks of its own: no cancel would wake it.
            connection = sqlite3.connect(_address(path, mode), uri=True, timeout=0, isolation_level=None)
        except sqlite3.Error as exc:
            raise translated(exc, self.display_name, error=SinkError) from exc
        with closing(connection):
            yield connection

    def _run(self, connection: sqlite3.Connection, statement: str) -> None:
        with self._calling(connection):
            patiently(lambda: connection.execute(statement).close(), _BUSY_SECONDS)

    @contextmanager
    def _calling(self, connection: sqlite3.Connection) -> Iterator[None]:
        with interrupting(connection.interrupt):
            try:
                yield
            except (sqlite3.Error, OverflowError, UnicodeEncodeError) as exc:
                if isinstance(exc, sqlite3.Error):
                    raise translated(exc, self.display_name, error=SinkError) from exc
                raise SinkError(str(exc), where=self.display_name) from exc

    def _already_exists(self) -> AlreadyExists:
        hint = "if_exists may be overwrite, append or skip"
        return AlreadyExists("the table exists already", where=self.display_name, hint=hint)


def _address(path: Path, mode: str) -> str:
    return f"file:{quote(str(path))}?mode={mode}"
