"""Load a table of an SQLite file: all of it, or nothing.

Rows are first put into a file of their own beside the database, or into the new one before it has its name
(:mod:`penstock.connectors.sqlite._filling`). A file that is there already is then changed in one transaction, by SQLite alone.
So other writers wait for that, and not for the source; and the source may be a table of the same file, of which SQLite could
otherwise write nothing before the reading has ended.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, final

from penstock.connectors._database_files import refuse_special
from penstock.connectors._new_database import check_folder, new_database, private_database
from penstock.connectors._requests import SinkRequest
from penstock.connectors._sql import quoted, quoted_path
from penstock.connectors._table_columns import refuse_repeated
from penstock.connectors.sqlite._connection import CREATING, READING, WRITING, Connection, address, connected
from penstock.connectors.sqlite._filling import filling, way_of_filling
from penstock.connectors.sqlite._load import Loader
from penstock.connectors.sqlite._target import Target, creation
from penstock.core.cancel import check_cancelled
from penstock.errors import ConfigurationError, SinkError
from penstock.flow.contracts import BatchStream, Receipt

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["SqliteSink"]

_STAGED = "penstock_staged"
_ROWS = "rows"
_ROWS_AT_ONCE = 10_000  # 5 ms of lineitem's 16 columns (November 2026)

Table = tuple[str, Sequence[str], Sequence[str]]
"""A name, and the names and types of the columns."""


@final
class SqliteSink:
    """Loads one table. Use through :func:`penstock.connectors.open_sink`.

    A file that is not there yet is filled under another name and appears when it is complete. One that is there is
    changed in one transaction, which begins when the source has been read: readers see all of it or nothing, and other writers
    wait for it. Until then the rows are in a file beside the database, which takes as much space as they will in the table.
    """

    def __init__(self, request: SinkRequest, path: Path) -> None:
        if not request.table:
            raise ConfigurationError(f"{request.shown}: say which table to load (--to-table)")
        schema, _, self._name = request.table.rpartition(".")
        if schema.lower() not in ("", "main"):
            raise ConfigurationError(f"{request.shown}: there is no schema {schema!r} in an SQLite file, only 'main'")
        self.display_name = f"{request.shown} {request.table}"
        self.rows_moved = 0
        self._path = path
        self._table = request.table
        self._if_exists = request.if_exists
        self._formats = request.formats

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
        with connected(self._path, READING, self.display_name) as connection:
            target = self._target(connection)
            if self._if_exists == "fail":
                target.refuse_existing()
            return not (self._if_exists == "skip" and target.is_there)

    @property
    def loading(self) -> str:
        """How rows get in."""
        where = "a file beside the database, then moved in one transaction" if self._path.exists() else "a new file"
        return f"{way_of_filling()}, into {where}"

    def column_types(self, schema: pa.Schema) -> tuple[str, ...]:
        """Return the types that the columns of a new table would have. Touches nothing.

        Raises:
            SinkError: SQLite cannot hold one of them, or takes two of their names for one.
        """
        return tuple(self._loader(schema).types)

    def load(self, batches: BatchStream) -> Receipt:
        """Load every batch, then commit. Blocks while the disk does, or another process writes.

        Raises:
            AlreadyExists: the table, or the file, appeared meanwhile.
            SinkError: SQLite refused, or a value has no exact form there.
        """
        names = batches.schema.names
        loader = self._loader(batches.schema)
        if self._path.exists():
            try:
                rows, taken_bytes = self._change(loader, batches)
            except BaseException:
                self._finish_rolling_back()
                raise
        else:
            with new_database(self._path, self.display_name) as temporary:
                rows, taken_bytes = self._fill(temporary, (self._name, names, loader.types), loader, batches)
        details = {"rows": rows, "table": self._table}
        return Receipt(location=self.display_name, bytes_stored=taken_bytes, details=details)

    def _loader(self, schema: pa.Schema) -> Loader:
        refuse_repeated(schema.names, self.display_name)
        return Loader(schema, where=self.display_name, formats=self._formats)

    def _target(self, connection: Connection) -> Target:
        return Target(connection, self._table, self._if_exists, self.display_name)

    # --- a file that is there ------------------------------------------------------------------------------------

    def _change(self, loader: Loader, batches: BatchStream) -> tuple[int, int]:
        names, where = batches.schema.names, self.display_name
        with private_database(self._path, where) as staged, connected(self._path, WRITING, where) as connection:
            target = self._target(connection)
            with connection.undone():
                target.check(names, loader)
            untyped = [""] * len(loader.stored_names)  # so that SQLite converts nothing
            rows, taken_bytes = self._fill(staged, (_ROWS, loader.stored_names, untyped), loader, batches)
            connection.run("ATTACH ? AS ?", [address(staged, READING), _STAGED])
            with connection.transaction():
                target.prepare(names, loader.types)
                self._move(connection, names, loader, rows)
                check_cancelled()
        return rows, taken_bytes

    def _move(self, connection: Connection, names: Sequence[str], loader: Loader, rows: int) -> None:
        statement = (
            f"INSERT INTO {quoted_path(self._table)} ({', '.join(map(quoted, names))}) "  # noqa: S608 - names are quoted
            f"SELECT {', '.join(loader.expressions)} FROM {_STAGED}.{_ROWS} WHERE rowid > ? AND rowid <= ?"
        )
        for first in range(0, rows, _ROWS_AT_ONCE):
            check_cancelled()
            connection.run(statement, [first, first + _ROWS_AT_ONCE])
            self.rows_moved = min(first + _ROWS_AT_ONCE, rows)

    def _finish_rolling_back(self) -> None:
        """Reopen the file after a full disk: SQLite leaves the rest of the rollback, and the journal, to the next opening."""
        if not self._path.with_name(f"{self._path.name}-journal").exists():
            return
        try:
            with closing(sqlite3.connect(address(self._path, WRITING), uri=True, timeout=0)) as connection:
                connection.execute("SELECT 1 FROM sqlite_master").close()
        except sqlite3.Error:
            return  # another has it open, and will

    # --- a file that nobody else knows ----------------------------------------------------------------------------

    def _fill(self, path: Path, table: Table, loader: Loader, batches: BatchStream) -> tuple[int, int]:
        """Create a file with one table, and put every batch into it. Returns rows, and bytes of Arrow data."""
        name, names, types = table
        rows = taken_bytes = 0
        with connected(path, CREATING, self.display_name) as connection:
            connection.run(creation(name, names, types))
        with filling(path, name, names, self.display_name) as fill:
            for batch in batches:
                fill(loader.columns(batch))
                rows += batch.num_rows
                taken_bytes += batch.nbytes
            check_cancelled()
        return rows, taken_bytes
