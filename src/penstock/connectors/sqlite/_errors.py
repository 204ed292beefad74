"""Turn SQLite's errors into ours, and wait for locks in a way that a cancel can end."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from time import monotonic
from typing import TypeVar

from penstock.connectors._absent import tables_hint
from penstock.core.cancel import sleep
from penstock.errors import ConnectorError

__all__ = ["LONGEST_VALUE_BYTES", "absent_column", "patiently", "sink_hint", "translated"]

T = TypeVar("T")
E = TypeVar("E", bound=ConnectorError)

LONGEST_VALUE_BYTES = 64 << 20
_RETRY_SECONDS = 0.02
_HINTS = {
    "SQLITE_BUSY": ("another process is writing to it; try again", True),
    "SQLITE_CANTOPEN": ("the user running this may not read it", False),
    "SQLITE_READONLY": ("sources are only read", False),
    "SQLITE_NOTADB": ("is it an SQLite file, and not encrypted?", False),
    "SQLITE_CORRUPT": ("the file is damaged", False),
    "SQLITE_TOOBIG": (f"a single value is larger than {LONGEST_VALUE_BYTES >> 20} MiB", False),
    "SQLITE_IOERR_READ": ("is it a file?", False),
    "SQLITE_FULL": ("there is no room for SQLite's temporary files; SQLITE_TMPDIR says where they go", False),
}
_HINTS_FOR_SINKS = {
    "SQLITE_BUSY": ("another process is using it; try again", True),
    "SQLITE_CANTOPEN": ("the user running this may not write it, or its folder", False),
    "SQLITE_READONLY": ("the user running this may not write it", False),
    "SQLITE_FULL": ("the disk is full; nothing was left behind", False),
    "SQLITE_TOOBIG": ("a single value is larger than SQLite takes", False),
}
_UNKNOWN_COLLATION = (
    "only the program that made the file knows this collation; a query with CAST(column AS TEXT) does without it, "
    "unless it is that of the key of a table WITHOUT ROWID"
)
_UNKNOWN_TO_INDEX = "only the program that made the file knows this collation, which an index of the table needs"
_NAMES = {"database or disk is full": "SQLITE_FULL", "string or blob too big": "SQLITE_TOOBIG"}


def patiently(call: Callable[[], T], patience_seconds: float) -> T:
    """Call until the database is not locked, at most for so long; wakes on cancel, as SQLite's own waiting does not."""
    deadline = monotonic() + patience_seconds
    while True:
        try:
            return call()
        except sqlite3.OperationalError as exc:
            if getattr(exc, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY or monotonic() >= deadline:
                raise
        sleep(_RETRY_SECONDS)


def translated(exc: sqlite3.Error, where: str, connection: sqlite3.Connection | None = None, *, error: type[E]) -> E:
    """Return our error for one of SQLite's, with what to do about it."""
    message = str(exc)
    missing = re.fullmatch(r"no such table: (?:main\.)?(.*)", message)
    if missing and connection is not None:
        return error(f"no such table: {missing[1]}", where=where, hint=_tables_hint(connection, missing[1]))
    name = getattr(exc, "sqlite_errorname", "")
    is_sink = error.__name__ == "SinkError"
    if message.startswith("no such collation sequence"):
        return error(message, where=where, hint=_UNKNOWN_TO_INDEX if is_sink else _UNKNOWN_COLLATION)
    hints = {**_HINTS, **_HINTS_FOR_SINKS} if is_sink else _HINTS
    hint, transient = hints.get(name, ("", False))
    return error(message, where=where, hint=hint, transient=transient)


def sink_hint(message: str) -> str:
    """Return what to do about an error in SQLite's own words, where a library passes on nothing but these."""
    hint, _transient = _HINTS_FOR_SINKS.get(_NAMES.get(message, ""), ("", False))
    return hint


def _tables_hint(connection: sqlite3.Connection, missing: str) -> str:
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name")
    names = [name for (name,) in rows if not name.startswith("sqlite_")]
    if not names:
        return "the database has no tables"
    return tables_hint(missing, names)


def absent_column(exc: sqlite3.Error) -> str:
    """Return which column SQLite does not know; ``""`` where it complains about something else."""
    found = re.fullmatch(r"no such column: (.*)", str(exc), re.DOTALL)
    return found[1] if found else ""
