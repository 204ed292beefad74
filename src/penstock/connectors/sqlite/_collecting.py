"""Read any SELECT in pages, though it has no row numbers to page by: SQLite collects its rows in a table of ours.

``INSERT INTO temp.collected SELECT ...`` runs once, from beginning to end, as the SELECT itself would. That table has a CHECK
constraint, which calls us before every so many rows. When there are enough for a page, we read them as we read any table
(:mod:`penstock.connectors.sqlite._page_reader`), hand them over, wait until more is asked for, and empty the table. Values in
it are what they were: its columns have no type that would convert them.

So no row becomes a Python object, one snapshot is read, every expression is evaluated once, and a busy thread, for whose GIL
we would wait at every row, is waited for at every page. SQLite holds the rows in the cache of its temporary database, and what
is too wide for that in a temporary file.

Not a trigger: for a table with one, SQLite runs the whole SELECT first and keeps all its rows. A function may use its own
connection, but for closing it or ending the statement that calls (https://www.sqlite.org/c3ref/create_function.html). While
the CHECK is evaluated, the new row has its number and is not in the table yet.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any, final

from penstock.connectors.sqlite import _database, _types as _sqlite_types
from penstock.connectors.sqlite._database import Database
from penstock.connectors.sqlite._errors import patiently
from penstock.connectors.sqlite._order import Position, Stretch
from penstock.connectors.sqlite._packing import any_of
from penstock.connectors.sqlite._page_reader import PageReader
from penstock.connectors.sqlite._paged import rows_of
from penstock.errors import SourceError

__all__ = ["Collecting", "collecting"]

_VALUE_BYTES = 16  # a guess, as SQLite keeps it; a page of many columns needs rows, too, because it takes long to plan
_ROWS_BETWEEN_LOOKS = 1024
_ROWS_BETWEEN_LENGTHS = 8
_WIDE_SHARE = 256  # of batch_bytes: so many values fill a batch
_NUMBERS = frozenset(("int64", "bool", "double"))
_MADE_UNIQUE = re.compile(r":\d+$")  # as SQLite does for a view
_MADE_UP = re.compile(r"^column\d+$")  # for a view, where a column has a name that is none
_NO_NAMES = re.compile(r"""\b(?:true|false)\b|""|''|``|\[\]""", re.IGNORECASE)


@final
class Collecting:
    """A SELECT whose rows SQLite collects.

    Args:
        database: open; one thread at a time may use it.
        statement: the SELECT.
        names: of its columns.
        declared: what they are declared as; ``""`` for nothing.
        batch_bytes: about how much is wanted at a time.
        misfits: what to do about values that do not fit.

    Attributes:
        columns: their names and declarations.
    """

    def __init__(
        self,
        database: Database,
        statement: str,
        names: Sequence[str],
        declared: Sequence[str],
        batch_bytes: int,
        misfits: _sqlite_types.Misfits,
    ) -> None:
        self._database = database
        self._batch_bytes = batch_bytes
        self._misfits = misfits
        own = database.own_name()
        columns = [f"c{number}" for number in range(len(names))]
        self.columns = list(zip(names, declared, strict=True))
        self._table = rows_of(f"temp.{own}", names, columns, declared)
        self._collects = f"INSERT INTO temp.{own}\n{statement}"
        self._last = f"SELECT max(rowid) FROM temp.{own}"  # noqa: S608 - the name is ours
        self._empties = f"DELETE FROM temp.{own}"  # noqa: S608 - as above
        self._reader: PageReader | None = None
        self._failure: BaseException | None = None
        self._taken = self._next_rows = 0
        self._most_rows = max(1, batch_bytes // (_VALUE_BYTES * len(names)))
        self._most_pages: int = batch_bytes // 2 // database.one("PRAGMA temp.page_size")[0]
        with database.calling():
            # It is not deterministic, but never asked twice: its arguments are others each time.
            database.connection.create_function(own, 2, self._look, deterministic=True)
            for made in (
                "PRAGMA temp.journal_mode = OFF",  # nothing of it is ever rolled back, and read
                "PRAGMA temp.secure_delete = OFF",
                f"PRAGMA temp.cache_size = -{2 * batch_bytes >> 10}",
                f"CREATE TEMP TABLE {own} ({', '.join(columns)}, CHECK ({self._looks(own, columns, declared)}))",
            ):
                database.connection.execute(made).close()

    @property
    def is_possible(self) -> bool:
        """Whether SQLite would collect the rows; if not, it may still run the SELECT."""
        return self._database.attempt(f"EXPLAIN {self._collects}") is not None

    def run(self, hand_over: Callable[[Any], None]) -> None:
        """Run the SELECT from beginning to end; call ``hand_over`` with the schema, and then with every batch."""
        self._give = hand_over
        connection = self._database.connection
        with self._database.calling():
            try:
                patiently(lambda: connection.execute(self._collects).close(), _database.BUSY_SECONDS)
            except sqlite3.Error:
                failure, self._failure = self._failure, None
                if failure is not None:
                    raise failure from None  # of which SQLite says that a function of the user's has failed
                raise
        self._take(self._database.one(self._last)[0] or 0)

    def _looks(self, own: str, columns: Sequence[str], declared: Sequence[str]) -> str:
        """Return the condition that calls us at some rows, and is always true.

        More often where rows are wide. One row of every few is looked at for that, but no column of numbers: to look at all
        takes as long as all the rest.
        """
        texts = [
            column
            for column, text in zip(columns, declared, strict=True)
            if _sqlite_types.declared_type(text) not in _NUMBERS
        ]
        wide_bytes = self._batch_bytes // _WIDE_SHARE
        is_wide = any_of([f"length({column}) > {wide_bytes:d}" for column in texts]) or "0"
        rows = min(_ROWS_BETWEEN_LOOKS, self._most_rows)
        return (
            f"CASE WHEN rowid % {rows:d} = 0 THEN {own}(rowid, 0) "
            f"WHEN rowid % {_ROWS_BETWEEN_LENGTHS:d} = 0 AND ({is_wide}) THEN {own}(rowid, 1) ELSE 1 END"
        )

    def _look(self, row: int, is_wide: bool) -> bool:
        """Take the rows before this one, if they are enough. SQLite calls it."""
        try:
            rows = row - 1 - self._taken
            if rows >= self._most_rows or (rows and self._is_much(rows, is_wide=is_wide)):
                self._take(row - 1)
                self._database.connection.execute(self._empties).close()
        except BaseException as exc:
            self._failure = exc
            raise
        return True

    def _is_much(self, rows: int, *, is_wide: bool) -> bool:
        """Whether what is collected has as many bytes as we want; asked again after as many rows, or at a wide one."""
        if rows < self._next_rows and not is_wide:
            return False
        self._next_rows = 2 * rows
        return self._pages() >= self._most_pages

    def _pages(self) -> int:
        """Return how many pages of the temporary database hold something."""
        return int(
            self._database.one("PRAGMA temp.page_count")[0] - self._database.one("PRAGMA temp.freelist_count")[0]
        )

    def _take(self, last: int) -> None:
        """Read the rows that are there, up to this one, and hand them over."""
        self._next_rows = 0
        reader = self._reader
        if reader is None:
            reader = self._reader = PageReader(
                self._database, self._table, self._batch_bytes, self._misfits, Stretch(), None
            )
            self._give(reader.schema)
        while (rows := last - self._taken) > 0:
            rows = -(-rows // max(1, rows // reader.page_rows))  # the last page is not to be one of a few rows
            page = Stretch(self._position(self._taken), self._position(self._taken + rows))
            with closing(reader.batches(page, reader.packed(page, rows))) as batches:
                for batch in batches:
                    self._give(batch)
                    del batch  # it may hold a wide value
            self._taken += rows

    def _position(self, row: int) -> Position:
        return self._table.order.position_of((False, row))


def collecting(
    database: Database,
    statement: str,
    columns: Sequence[tuple[str, str]] | None,
    batch_bytes: int,
    misfits: _sqlite_types.Misfits,
) -> Collecting | str:
    """Return how to collect the rows of a statement; or why it is not possible, in words.

    Args:
        database: open.
        statement: which may be no SELECT, and may be wrong.
        columns: what :meth:`Database.columns` says of it.
        batch_bytes: about how much is wanted at a time.
        misfits: what to do about values that do not fit.
    """
    if database.attempt(f"EXPLAIN SELECT EXISTS (\n{statement}\n)") is None:
        return "it is no SELECT"
    names = None if columns is None else [name for name, _declared in columns]
    if names is None or not _are_its_own(names, statement):
        names = _names(database, statement)
    if names is None:
        return "SQLite does not tell the names of its columns before it is run"
    declared = [""] * len(names) if columns is None else [text for _name, text in columns]
    collected = Collecting(database, statement, names, declared, batch_bytes, misfits)
    return collected if collected.is_possible else "SQLite does not collect its rows in a table"


def _are_its_own(names: Sequence[str], statement: str) -> bool:
    """Whether the columns of the view have the names that those of its SELECT have."""
    if any(map(_MADE_UNIQUE.search, names)):
        return False
    return not (any(map(_MADE_UP.search, names)) and _NO_NAMES.search(statement))


def _names(database: Database, statement: str) -> list[str] | None:
    """Return the names of the columns, of which several may be the same, by asking for no rows; None if that is an error.

    SQLite may do some of the work for that, as that of a MATERIALIZED subquery; a cancel interrupts it.
    """
    try:
        with database.calling(), closing(database.connection.execute(f"{statement}\nLIMIT 0")) as cursor:
            return [column[0] for column in cursor.description]
    except SourceError:
        return None  # it has a limit of its own
