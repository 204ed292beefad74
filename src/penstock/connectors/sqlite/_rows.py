"""Read rows as Python objects: for queries, and for pages that SQLite cannot pack."""

from __future__ import annotations

import re
from operator import length_hint
from typing import final

from penstock.connectors.sqlite import _database
from penstock.connectors.sqlite._database import Database
from penstock.connectors.sqlite._errors import patiently
from penstock.errors import SourceError

__all__ = ["VALUE_BYTES", "Row", "Rows"]

VALUE_BYTES = 48  # a number as a Python object, and its place in the row; text and bytes are as much and their length
_ROW_BYTES = 64  # of the row itself

_NO_UTF_8 = re.compile(r"Could not decode to UTF-8 column '(.*?)' with text '(.*)'", re.DOTALL)
_SHOWN_CHARACTERS = 40

Row = tuple[object, ...]


@final
class Rows:
    """A running SELECT, handed out in lists of rows that weigh about ``batch_bytes``.

    Args:
        database: open.
        statement: the SELECT.
        batch_bytes: about how much is wanted at a time.
        parameters: of the statement.
        before: how many rows were read before, for messages.

    Attributes:
        names: of the columns.
        taken_bytes: what the last rows weighed.
    """

    def __init__(
        self, database: Database, statement: str, batch_bytes: int, *parameters: object, before: int = 0
    ) -> None:
        self._database = database
        self._batch_bytes = self._budget_bytes = batch_bytes
        self.taken_bytes = 0
        self._before = before
        self._held: list[Row] = []
        connection = database.connection
        with database.calling():
            self._cursor = patiently(lambda: connection.execute(statement, parameters), _database.BUSY_SECONDS)
        if self._cursor.description is None:
            raise SourceError("the query returns no rows", where=database.where, hint="use a SELECT")
        self.names = [column[0] for column in self._cursor.description]
        self._least_bytes = _ROW_BYTES + VALUE_BYTES * len(self.names)

    def close(self) -> None:
        """Close the statement, even if it has rows left."""
        self._cursor.close()

    def take(self) -> list[Row]:
        """Block until there are rows enough, or no more; an empty list is the end."""
        rows, self._held = self._held, []
        size = self._weight(rows[0]) if rows else 0
        least = self._least_bytes
        try:
            with self._database.calling():
                for row in self._cursor if size < self._budget_bytes else ():
                    rows.append(row)
                    # Every row, because one wide one may weigh more than all before. length_hint() is zero for what has
                    # no length, and takes a quarter of the time of sys.getsizeof().
                    size += least + sum(map(length_hint, row))
                    if size >= self._budget_bytes:
                        break
        except SourceError as exc:
            raise self._located(exc, self._before + len(rows) + 1) from exc.__cause__
        if len(rows) > 1 and (weight := self._weight(rows[-1])) >= self._budget_bytes:
            self._held, size = [rows.pop()], size - weight  # a wide row comes alone, which takes no copy of it
        self.taken_bytes = size
        self._before += len(rows)
        return rows

    def _located(self, error: SourceError, row: int) -> SourceError:
        """Say in which row there is text that cannot be decoded; SQLite's driver says only in which column."""
        found = _NO_UTF_8.match(str(error.args[0]))
        if found is None:
            return error
        name, text = found.groups()
        shown = text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
        return SourceError(
            f"column {name!r}: row {row} holds text that is not UTF-8: {shown!r}",
            where=self._database.where,
            hint=f'read it as bytes, CAST("{name}" AS BLOB), or see on_type_loss',
        )

    def _weight(self, row: Row) -> int:
        return self._least_bytes + sum(map(length_hint, row))

    def heed(self, batch_bytes: int) -> None:
        """Take fewer characters from now on, where the last rows made a larger batch: some have four bytes."""
        if batch_bytes > self.taken_bytes:
            self._budget_bytes = max(1, self._batch_bytes * self.taken_bytes // batch_bytes)
