"""The table of an SQLite file that is to be loaded: what it is now, and what to do with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, final

from penstock.connectors._requests import IfExists
from penstock.connectors._sql import quoted, quoted_path
from penstock.connectors.sqlite._connection import Connection
from penstock.connectors.sqlite._fit import TargetColumn
from penstock.errors import AlreadyExists, SinkError

if TYPE_CHECKING:
    from penstock.connectors.sqlite._load import Loader

__all__ = ["Target", "creation"]

_IS_STRICT = 5  # of the row of PRAGMA table_list
_NAME, _DECLARED, _HIDDEN = 1, 2, 6  # of PRAGMA table_xinfo
_GENERATED = frozenset({2, 3})  # virtual, stored; 1 is hidden in a virtual table


def creation(table: str, names: Sequence[str], types: Sequence[str]) -> str:
    """Return the statement that creates a table. Quotes everything but the types."""
    columns = ", ".join(f"{quoted(name)} {kind}".rstrip() for name, kind in zip(names, types, strict=True))
    return f"CREATE TABLE {quoted_path(table)} ({columns})"


@final
class Target:
    """A table that may be there.

    Args:
        connection: to the file.
        table: its name, with or without a schema.
        if_exists: what to do with it if it is there.
        where: for messages.
    """

    def __init__(self, connection: Connection, table: str, if_exists: IfExists, where: str) -> None:
        self._connection = connection
        self._table = table
        self._if_exists = if_exists
        self._where = where
        self._appended_to: dict[str, TargetColumn] | None = None

    @property
    def is_there(self) -> bool:
        """Whether there is a table, or a view, of this name."""
        schema, _, name = self._table.rpartition(".")
        known = f"{quoted(schema or 'main')}.sqlite_master"
        query = f"SELECT 1 FROM {known} WHERE name = ? COLLATE NOCASE AND type IN ('table', 'view')"  # noqa: S608
        return bool(self._connection.run(query, [name]))

    def refuse_existing(self) -> None:
        """Check that it is not there.

        Raises:
            AlreadyExists: it is.
        """
        if self.is_there:
            hint = "if_exists may be overwrite, append or skip"
            raise AlreadyExists("the table exists already", where=self._where, hint=hint)

    def check(self, names: Sequence[str], loader: Loader) -> None:
        """Check that it could be loaded now, and have the loader check values against the table that is appended to.

        Raises:
            AlreadyExists: it is there, and should not be.
            SinkError: it cannot be written, dropped or created; or has not all of the columns.
        """
        if self.is_there and self._if_exists == "append":
            self._appended_to = self._columns()
            loader.fit_to(self._appended_to)
        else:
            for statement in self._replacement(names, loader.types)[:1]:  # the second may depend on the first
                self._connection.run(f"EXPLAIN {statement}")

    def prepare(self, names: Sequence[str], types: Sequence[str]) -> None:
        """Make it what rows can be put into. Call it in the transaction that puts them.

        Raises:
            AlreadyExists: it appeared since :meth:`check`.
            SinkError: it is another than it was then, or than the one that was to be created and appended to.
        """
        if self._appended_to is None and not (self._if_exists == "append" and self.is_there):
            for statement in self._replacement(names, types):
                self._connection.run(statement)
            return
        created = {name.lower(): TargetColumn(kind) for name, kind in zip(names, types, strict=True)}
        if self._columns() != (self._appended_to or created):
            message, hint = "the table was changed while rows for it were read", "try again"
            raise SinkError(message, where=self._where, hint=hint, transient=True)

    def _replacement(self, names: Sequence[str], types: Sequence[str]) -> list[str]:
        create = creation(self._table, names, types)
        if self._if_exists == "overwrite" and self.is_there:
            return [f"DROP TABLE {quoted_path(self._table)}", create]
        self.refuse_existing()
        return [create]

    def _columns(self) -> dict[str, TargetColumn]:
        """Return the columns of the table by their names in lower case, which is how SQLite tells them apart."""
        schema, dot, name = self._table.rpartition(".")
        pragma = f"PRAGMA {quoted(schema) + dot if dot else ''}"
        tables = self._connection.run(f"{pragma}table_list({quoted(name)})")  # none before SQLite 3.37
        columns = self._connection.run(f"{pragma}table_xinfo({quoted(name)})")
        is_strict = any(table[_IS_STRICT] for table in tables)
        return {
            column[_NAME].lower(): TargetColumn(column[_DECLARED], is_strict, column[_HIDDEN] in _GENERATED)
            for column in columns
        }
