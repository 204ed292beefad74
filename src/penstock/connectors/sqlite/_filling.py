"""Fill a table of an SQLite file that nobody else knows, with Arrow columns.

The ADBC driver takes Arrow as it is: no Python object per value, and without the GIL. It brings an SQLite of its own, and two
of them in one process break each other's locks on a file, because closing a file in one releases the locks of the other
(https://www.sqlite.org/howtocorrupt.html, 2.2.1). So it only sees files that nobody else has opened.

Without the driver, values go through Python, a thousand rows at a time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from penstock._extras import need
from penstock.connectors._sql import quoted
from penstock.connectors.sqlite._connection import WRITING, address, connected
from penstock.connectors.sqlite._errors import sink_hint
from penstock.core.cancel import check_cancelled
from penstock.errors import SinkError

__all__ = ["filling", "way_of_filling"]

# Between two of these a cancel is noticed: 2 ms of lineitem's 16 columns by Arrow, 3 ms by rows (November 2026).
_ROWS_AT_ONCE_BY_ARROW = 2000
_ROWS_AT_ONCE = 1000
# The file is dropped as a whole when anything fails, and forced to the disk as a whole.
_UNSAFE = ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF")

Column = Any
Fill = Callable[[Sequence[Column]], None]


def filling(path: Path, table: str, names: Sequence[str], where: str) -> AbstractContextManager[Fill]:
    """Give a function that appends to the table. What it has appended is in the file when the block ends without an error.

    Args:
        path: of the file, which has the table, empty. No other connection has it open.
        table: its name, without a schema.
        names: of its columns.
        where: for messages.

    Raises:
        SinkError: SQLite refused.
    """
    if (drivers := _drivers()) is None:
        return _by_rows(path, table, names, where)
    return _by_arrow(*drivers, path, table, names, where)


def way_of_filling() -> str:
    """Return how :func:`filling` fills, in words."""
    if _drivers() is None:
        return f"rows, {_ROWS_AT_ONCE:,} at a time (pip install 'penstock[sqlite]' for Arrow batches)"
    return "Arrow batches"


def _drivers() -> tuple[Any, Any] | None:
    try:
        import adbc_driver_manager
        import adbc_driver_sqlite
    except ImportError:
        return None
    return adbc_driver_manager, adbc_driver_sqlite


@contextmanager
def _by_arrow(manager: Any, driver: Any, path: Path, table: str, names: Sequence[str], where: str) -> Iterator[Fill]:
    arrow = need("pyarrow", extra="arrow", why="load tables")
    options = {
        manager.INGEST_OPTION_TARGET_TABLE: table,
        manager.INGEST_OPTION_MODE: manager.INGEST_OPTION_MODE_APPEND,
    }

    def fill(columns: Sequence[Column]) -> None:
        batch = arrow.RecordBatch.from_arrays(columns, names)
        for first in range(0, batch.num_rows, _ROWS_AT_ONCE_BY_ARROW):
            check_cancelled()
            with manager.AdbcStatement(connection) as statement:
                statement.set_options(**options)
                statement.bind(batch.slice(first, _ROWS_AT_ONCE_BY_ARROW))
                statement.execute_update()

    try:
        # The low-level interface: that of the DB-API starts a thread for Ctrl-C, which it never ends.
        with driver.connect(address(path, WRITING)) as database, manager.AdbcConnection(database) as connection:
            for pragma in _UNSAFE:
                with manager.AdbcStatement(connection) as statement:
                    statement.set_sql_query(pragma)
                    statement.execute_update()
            # One transaction, whose end nobody waits for; and with one for each batch, errors of a full disk are lost in the
            # error of rolling back, which is not possible without a journal.
            connection.set_autocommit(False)
            yield fill
            connection.commit()
    except manager.Error as exc:
        raise _translated(exc, where) from exc


def _translated(exc: Exception, where: str) -> SinkError:
    """Return our error for the driver's, which wraps SQLite's words in its own."""
    found = re.search(r"failed to \w+: (.*?)(?:\nquery was: |\Z)", str(exc), re.DOTALL)
    message = found[1] if found else str(exc)
    return SinkError(message, where=where, hint=sink_hint(message))


@contextmanager
def _by_rows(path: Path, table: str, names: Sequence[str], where: str) -> Iterator[Fill]:
    marks = ", ".join("?" * len(names))
    statement = f"INSERT INTO {quoted(table)} ({', '.join(map(quoted, names))}) VALUES ({marks})"  # noqa: S608 - quoted

    def fill(columns: Sequence[Column]) -> None:
        for first in range(0, len(columns[0]), _ROWS_AT_ONCE):
            values = [column.slice(first, _ROWS_AT_ONCE).to_pylist() for column in columns]
            connection.run_for_each(statement, zip(*values, strict=True))

    with connected(path, WRITING, where) as connection:
        for pragma in _UNSAFE:
            connection.run(pragma)
        with connection.transaction():
            yield fill
            check_cancelled()
