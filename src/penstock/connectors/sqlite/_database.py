"""An SQLite file opened for reading. Every call in which SQLite may block goes through here."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, final

from penstock.connectors._absent import no_column
from penstock.connectors._database_files import refuse_special
from penstock.connectors._interrupting import interrupting
from penstock.connectors._requests import SourceRequest
from penstock.connectors._sql import all_columns, bare, quoted_path, select_statement
from penstock.connectors.sqlite._connection import BUSY_SECONDS, READING, address
from penstock.connectors.sqlite._errors import LONGEST_VALUE_BYTES, absent_column, patiently, translated
from penstock.errors import SourceError
from penstock.flow.suggest import did_you_mean

__all__ = ["BUSY_SECONDS", "Database", "quoted_column"]

_ROW_OVERHEAD_BYTES = 64 << 10  # SQLite's limit is on whole rows, ours on a value
_SAYS_WHAT_IS_DECLARED = sqlite3.sqlite_version_info < (3, 41)
_LONGEST_BYTES = LONGEST_VALUE_BYTES + _ROW_OVERHEAD_BYTES

_KEEPING_BROKEN: Callable[[bytes], str] = partial(str, encoding="utf-8", errors="surrogateescape")


@final
class Database:
    """A connection that only reads. Threads may use it in turns.

    Args:
        path: of the file.
        where: for messages.
        request: what is to be read.
        keeps_broken_text: whether text that is no UTF-8 comes with surrogates for its bytes, instead of failing. Takes a copy
            of every text, and longer.

    Attributes:
        connection: Python's own.
        where: for messages.
    """

    def __init__(self, path: Path, where: str, request: SourceRequest, *, keeps_broken_text: bool = False) -> None:
        self._columns = frozenset(request.columns or ())
        self._all_columns = select_statement(all_columns(request), quoted_column)
        if not path.exists():
            names = [entry.name for entry in path.parent.glob("*")]
            hint = did_you_mean(path.name, names, otherwise="is the path right? It is relative after three slashes")
            raise SourceError("no such file", where=where, hint=hint)
        refuse_special(path, where, SourceError)
        try:
            # No cache of statements: SQLite keeps a closed file open for as long as a statement of it lives.
            # No waiting for locks of its own: no cancel would wake it.
            connection = sqlite3.connect(
                address(path, READING),
                uri=True,
                timeout=0,
                isolation_level=None,
                cached_statements=0,
                check_same_thread=False,
            )
        except sqlite3.Error as exc:
            raise translated(exc, where, error=SourceError) from exc
        self.connection = connection
        self._text = _KEEPING_BROKEN if keeps_broken_text else str
        connection.text_factory = self._text
        self.where = where
        self.limit_values()

    def close(self) -> None:
        """Close the connection, and end what was begun."""
        self.connection.close()

    @contextmanager
    def calling(self) -> Iterator[None]:
        """The one seam: SQLite may block in here, a cancel interrupts it, and its errors become ours."""
        with interrupting(self.connection.interrupt):
            try:
                yield
            except sqlite3.Error as exc:
                if (name := absent_column(exc)) in self._columns:
                    raise no_column(name, self._names_of_all(), self.where) from exc
                raise translated(exc, self.where, self.connection, error=SourceError) from exc

    def _names_of_all(self) -> list[str]:
        with closing(self.connection.execute(self._all_columns)) as cursor:
            return [column[0] for column in cursor.description]

    @property
    def encoding(self) -> str:
        """How text is stored: ``UTF-8``, ``UTF-16le`` or ``UTF-16be``."""
        [encoding] = self.one("PRAGMA encoding")
        return str(encoding)

    def begin(self) -> None:
        """Take a snapshot: every statement from now on sees the file as it is now."""
        with self.calling():
            self.connection.execute("BEGIN").close()
            self._touch()

    def touch(self) -> None:
        """Wait, a while, for another process that is writing."""
        with self.calling():
            self._touch()

    def _touch(self) -> None:
        connection = self.connection
        patiently(lambda: connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").close(), BUSY_SECONDS)

    def one(self, statement: str, *parameters: object) -> Any:
        """Return the first row, or None."""
        with self.calling():
            return self._one(statement, parameters)

    def attempt(self, statement: str, *parameters: object, longest_bytes: int | None = None) -> Any:
        """Return the first row with its text as bytes, or None: SQLite cannot do this, whatever the reason.

        Args:
            statement: whose failing has another way round it.
            parameters: of the statement.
            longest_bytes: how long a value, or a row that is read, may be at most.
        """
        if longest_bytes is not None:
            self.limit_values(longest_bytes)
        self.connection.text_factory = bytes
        try:
            with interrupting(self.connection.interrupt):
                return self._one(statement, parameters)
        except sqlite3.Error:
            return None
        finally:
            self.connection.text_factory = self._text
            self.limit_values()

    def _one(self, statement: str, parameters: tuple[object, ...]) -> Any:
        cursor = self.connection.execute(statement, parameters)
        try:
            return cursor.fetchone()
        finally:
            cursor.close()

    def limit_values(self, longest_bytes: int = _LONGEST_BYTES) -> None:
        """Let SQLite refuse longer values; without an argument, as long ones as we take."""
        self.connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, longest_bytes)

    @staticmethod
    def own_name() -> str:
        """Return a name for something temporary, which would hide what has the same name in the file."""
        return f"penstock_{secrets.token_hex(8)}"

    def is_strict(self, table: str) -> bool:
        """Whether SQLite holds every value of the table to the type of its column."""
        schema, _, name = table.rpartition(".")
        query = "SELECT strict FROM pragma_table_list(?) WHERE schema = ?"
        found = self.one(query, name, schema or "main")
        return bool(found and found[0])

    def last_number(self, table: str) -> int | None:
        """Return the largest row number of a table, which it tells without being read; None where it has none."""
        try:
            found = self.connection.execute(f"SELECT max(rowid) FROM {quoted_path(table)}").fetchone()  # noqa: S608
        except sqlite3.Error:
            return None  # a view, or a table WITHOUT ROWID
        number = found[0] or 0
        return number if isinstance(number, int) else None

    def columns(self, statement: str) -> list[tuple[str, str]] | None:
        """Return the names of the columns of ``statement`` and what they were declared as; None if it is no SELECT.

        For expressions that is ``""``. SQLite tells it only of tables and views, so the statement becomes a temporary view for
        a moment, in which no two names are the same. From 3.41 on it says BLOB also where nothing is declared; then the
        values decide, which are bytes if it was.
        """
        connection = self.connection
        own = self.own_name()
        try:
            connection.execute(f"CREATE TEMP VIEW {own} AS\n{bare(statement)}")
            try:
                columns = [(row[1], row[2]) for row in connection.execute(f"PRAGMA temp.table_info({own})")]
            finally:
                connection.execute(f"DROP VIEW temp.{own}")
        except sqlite3.Error:
            return None  # what is wrong with it, running it will tell
        return columns if _SAYS_WHAT_IS_DECLARED else [(name, "" if text == "BLOB" else text) for name, text in columns]


def quoted_column(name: str) -> str:
    """Quote with backticks: what is in double quotes and no column, SQLite takes for a string."""
    return "`" + name.replace("`", "``") + "`"
