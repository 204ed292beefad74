"""The DuckDB sink: load a table of a DuckDB file in one transaction, one Arrow batch at a time."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, final

from penstock.connectors._database_files import refuse_special
from penstock.connectors._new_database import check_folder, new_database
from penstock.connectors._requests import DEFAULT_BATCH_BYTES, SinkRequest
from penstock.connectors._sql import quoted, quoted_path
from penstock.connectors._table_columns import refuse_repeated
from penstock.connectors.duckdb._cache import BlockCache
from penstock.connectors.duckdb._connection import CONVERT, Database, Settings, duckdb_module, settings_of
from penstock.connectors.duckdb._fit import Fit, fit, is_kept_by_type, selection
from penstock.connectors.duckdb._inserting import BATCH, Incoming, Inserter, row_group_rows
from penstock.connectors.duckdb._load import column_types
from penstock.connectors.duckdb._shared import SharedFile
from penstock.errors import AlreadyExists, ConfigurationError, SinkError
from penstock.flow.contracts import BatchStream, Receipt

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["DuckdbSink"]

Share = Callable[[Path, Settings], SharedFile | None]
"""Asks the source whether it reads this file too; if so, both open it through what is returned."""


@final
class DuckdbSink:
    """Loads one table. Use through :func:`penstock.connectors.open_sink`.

    A file that is not there yet is filled under another name and appears when it is complete. One that is there is
    changed inside a transaction; nobody else can open it meanwhile, DuckDB sees to that.
    """

    def __init__(self, request: SinkRequest, path: Path, share: Share | None = None) -> None:
        if not request.table:
            raise ConfigurationError(f"{request.shown}: say which table to load (--to-table)")
        self.display_name = f"{request.shown} {request.table}"
        self._path = path
        self._table = request.table
        self._if_exists = request.if_exists
        self._settings = settings_of(request.options, DEFAULT_BATCH_BYTES, request.shown)
        self._share = share
        self._shared: SharedFile | None = None

    def check(self) -> bool:
        """Look at file and table, through a read-only connection; False means skip the copy.

        Raises:
            AlreadyExists: the table is there and ``if_exists`` is ``"fail"``.
            SinkError: the file is no database, is locked by another process, or may not be written.
        """
        if not self._path.exists():
            check_folder(self._path, self.display_name)
            return True
        refuse_special(self._path, self.display_name, SinkError)
        if not os.access(self._path, os.W_OK):
            hint = "the user running this may not write it"
            raise SinkError("permission denied", where=self.display_name, hint=hint)
        opened = Database.opened(self._path, self._settings, read_only=True, where=self.display_name, error=SinkError)
        with opened as database:
            is_there = self._is_there(database)
        if is_there and self._if_exists == "fail":
            raise self._already_exists()
        self._shared = self._share and self._share(self._path, self._settings)  # before the source opens it
        return not (is_there and self._if_exists == "skip")

    @property
    def loading(self) -> str:
        """How rows get in."""
        return f"Arrow batches, {'in one transaction' if self._path.exists() else 'into a new file'}"

    def column_types(self, schema: pa.Schema) -> tuple[str, ...]:
        """Return the types that the columns of a new table would have. Touches nothing.

        Raises:
            SinkError: DuckDB cannot hold one of them, or takes two of their names for one.
        """
        refuse_repeated(schema.names, self.display_name)
        return tuple(column_types(schema, self.display_name))

    def load(self, batches: BatchStream) -> Receipt:
        """Load every batch, then commit. Blocks while the disk does.

        Raises:
            AlreadyExists: the table, or the file, appeared meanwhile.
            SinkError: DuckDB refused, or a column does not fit the table that is there.
        """
        incoming = Incoming(batches)
        if self._path.exists():
            try:
                self._change(incoming)
            except BaseException:
                self._finish_rolling_back()
                raise
        else:
            with new_database(self._path, self.display_name) as temporary:
                self._fill(temporary, incoming)
        details = {"rows": incoming.rows, "table": self._table}
        return Receipt(location=self.display_name, bytes_stored=incoming.taken_bytes, details=details)

    def _finish_rolling_back(self) -> None:
        """Reopen the file after a full disk: DuckDB leaves uncommitted data in its log, which the next opening removes."""
        if not self._path.with_name(f"{self._path.name}.wal").exists():
            return
        try:
            duckdb_module().connect(str(self._path)).close()
        except duckdb_module().Error:
            return  # the disk takes nothing at all, or another has it open, and will

    def _change(self, incoming: Incoming) -> None:
        """Load into a file that is there, in one transaction."""
        rows = row_group_rows(self._settings.memory_bytes, incoming.next_row_bytes())
        with self._opened(rows) as database, database.transaction():
            statement = self._prepared(database, incoming.schema)
            # Not where the source has the same DuckDB: it may need its memory at the very moment the limit is low.
            cache = None if self._shared is not None else BlockCache(database, self._settings)
            inserter = Inserter(database, statement, incoming.schema, self.display_name, rows, cache)
            inserter.insert(incoming.all())

    def _opened(self, rows_of_a_row_group: int) -> AbstractContextManager[Database]:
        if self._shared is not None:
            return self._shared.opened(read_only=False, where=self.display_name, error=SinkError)
        return self._opened_alone(self._path, rows_of_a_row_group)

    def _fill(self, path: Path, incoming: Incoming) -> None:
        """Load into a new file, which nobody else sees before it is complete, a part at a time."""
        statement = ""
        while not incoming.ended:
            rows = row_group_rows(self._settings.memory_bytes, incoming.next_row_bytes())
            with self._opened_alone(path, rows) as database:
                with database.transaction():
                    statement = statement or self._prepared(database, incoming.schema)
                    cache = BlockCache(database, self._settings)
                    inserter = Inserter(database, statement, incoming.schema, self.display_name, rows, cache)
                    inserter.insert(incoming.part(rows))
                database.run("CHECKPOINT")  # what is published is one file; nothing may wait in the log beside it

    def _opened_alone(self, path: Path, rows_of_a_row_group: int) -> AbstractContextManager[Database]:
        return Database.loading(path, self._settings, rows_of_a_row_group, where=self.display_name)

    def _prepared(self, database: Database, schema: pa.Schema) -> str:
        """Make the table what it has to be, and return the statement that loads a batch into it."""
        refuse_repeated(schema.names, self.display_name)
        types = column_types(schema, self.display_name)
        target = self._target(database)
        fits: list[Fit | None] = [None] * len(types)
        is_there = self._is_there(database)
        if is_there and self._if_exists == "append":
            fits = self._fits(database, schema.names, types)
        else:
            if is_there and self._if_exists != "overwrite":
                raise self._already_exists()
            if is_there:
                database.run(f"DROP TABLE {target}")
            declared = ", ".join(f"{quoted(name)} {kind}" for name, kind in zip(schema.names, types, strict=True))
            database.run(f"CREATE TABLE {target} ({declared})")
        names = ", ".join(map(quoted, schema.names))
        return f"INSERT INTO {target} ({names}) {selection(fits, BATCH)}"

    def _fits(self, database: Database, names: list[str], types: list[str]) -> list[Fit | None]:
        """Return how each column goes into the table that is there; None for as it is."""
        query = f"SELECT column_name, column_type FROM (DESCRIBE {self._target(database)})"  # noqa: S608
        there = {name.lower(): (name, kind) for name, kind in database.rows(query)}
        fits = []
        for name, kind in zip(names, types, strict=True):
            if name.lower() not in there:
                known = ", ".join(known for known, _ in there.values())
                message = f"the table has no column {name!r}"
                raise SinkError(message, where=self.display_name, hint=f"it has {known}")
            fits.append(self._fit(database, name, kind, there[name.lower()][1]))
        return fits

    def _fit(self, database: Database, name: str, kind: str, declared: str) -> Fit | None:
        if is_kept_by_type(kind, declared):
            return None
        found = fit(name, kind, declared)
        if found is None and _as_described(database, kind) != declared:
            message = f"column {name!r} is {declared} in the table, and {kind} is to be loaded into it"
            raise SinkError(message, where=self.display_name, hint=CONVERT)
        return found

    def _target(self, database: Database) -> str:
        """Return the table in full, so that no schema is taken for another database of the instance."""
        [[catalog, schema]] = database.rows("SELECT current_database(), current_schema()")
        table = self._table if "." in self._table else f"{schema}.{self._table}"
        return f"{quoted(catalog)}.{quoted_path(table)}"

    def _is_there(self, database: Database) -> bool:
        schema, _, name = self._table.rpartition(".")
        query = (
            "SELECT 1 FROM information_schema.tables WHERE table_catalog = current_database() AND "
            "lower(table_name) = lower(?) AND "
            "lower(table_schema) = lower(coalesce(nullif(?, ''), current_schema()))"
        )
        return bool(database.rows(query, [name, schema]))

    def _already_exists(self) -> AlreadyExists:
        hint = "if_exists may be overwrite, append or skip"
        return AlreadyExists("the table exists already", where=self.display_name, hint=hint)


def _as_described(database: Database, kind: str) -> str:
    """Spell a type as DESCRIBE does, which quotes names inside a STRUCT only where it must."""
    [[spelled]] = database.rows(f"SELECT typeof(CAST(NULL AS {kind}))")  # column_types made and quoted it
    return str(spelled)
