"""A connection that writes to an SQLite file. Every call in which SQLite may block, or fail, goes through here."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, final
from urllib.parse import quote

from penstock.connectors._interrupting import interrupting
from penstock.connectors.sqlite._errors import patiently, translated
from penstock.errors import SinkError

__all__ = ["BUSY_SECONDS", "CREATING", "READING", "WRITING", "Connection", "address", "connected"]

BUSY_SECONDS = 5.0
READING, WRITING, CREATING = "ro", "rw", "rwc"

Row = tuple[Any, ...]


@contextmanager
def connected(path: Path, mode: str, where: str) -> Iterator[Connection]:
    """Open the file in one of the three modes, and close it at the end of the block.

    Raises:
        SinkError: it cannot be opened.
    """
    try:
        # No waiting for locks of its own: no cancel would wake it.
        connection = sqlite3.connect(address(path, mode), uri=True, timeout=0, isolation_level=None)
    except sqlite3.Error as exc:
        raise translated(exc, where, error=SinkError) from exc
    with closing(connection):
        yield Connection(connection, where)


def address(path: Path, mode: str) -> str:
    """Return the file as SQLite's URI."""
    return f"file:{quote(str(path))}?mode={mode}"


@final
class Connection:
    """A connection whose calls end when the surrounding scope is cancelled, and raise :class:`SinkError`."""

    def __init__(self, connection: sqlite3.Connection, where: str) -> None:
        self._connection = connection
        self._where = where

    def run(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Run a statement and return its rows. Waits for locks, up to ``BUSY_SECONDS``."""
        with self._calling():
            return patiently(lambda: self._connection.execute(statement, parameters).fetchall(), BUSY_SECONDS)

    def run_for_each(self, statement: str, rows: Iterable[Row]) -> None:
        """Run a statement once for each row of parameters."""
        with self._calling():
            self._connection.executemany(statement, rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Lock the file for writing, and commit at the end of the block. If the block fails, roll back."""
        self.run("BEGIN IMMEDIATE")
        try:
            yield
            self.run("COMMIT")
        except BaseException:
            self._connection.rollback()
            raise

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Lock the file for writing, and roll back at the end of the block: for a look at what could be done now."""
        self.run("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            self._connection.rollback()  # not COMMIT, which waits for readers even where nothing was changed

    @contextmanager
    def _calling(self) -> Iterator[None]:
        with interrupting(self._connection.interrupt):
            try:
                yield
            except (OverflowError, UnicodeEncodeError) as exc:
                raise SinkError(str(exc), where=self._where) from exc
            except sqlite3.Error as exc:
                raise translated(exc, self._where, error=SinkError) from exc
