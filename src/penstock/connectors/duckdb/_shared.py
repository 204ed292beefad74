"""Share one DuckDB instance in a copy that reads from and loads into the same file.

DuckDB can open a file only once in a process, for reading or for writing. So both sides of such a copy have connections to
one instance that may write. The reading side uses a read-only transaction, which sees the file as it was before.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, final

from penstock.connectors.duckdb._connection import Database, Settings, instance
from penstock.errors import ConnectorError

__all__ = ["SharedFile"]


@final
class SharedFile:
    """The shared instance: opened by the side that comes first, closed by the one that leaves last. For any thread.

    Args:
        path: the path of the file.
        settings: settings that are enough for both sides.
    """

    def __init__(self, path: Path, settings: Settings) -> None:
        self._path = path
        self._settings = settings
        self._lock = threading.Lock()  # held while the file is opened or closed, never while one waits for the other
        self._users = 0
        self._open: tuple[Any, ExitStack] | None = None

    @contextmanager
    def opened(self, *, read_only: bool, where: str, error: type[ConnectorError]) -> Iterator[Database]:
        """Give a connection to the shared instance, as :meth:`Database.opened` does.

        Raises:
            ConnectorError: of the given kind: it cannot be opened.
        """
        with self._connected(where, error) as connection, closing(connection):
            database = Database(connection, where, error)
            database.prepare(self._settings)
            if read_only:
                database.run("BEGIN TRANSACTION READ ONLY")  # closing ends it
            yield database

    @contextmanager
    def _connected(self, where: str, error: type[ConnectorError]) -> Iterator[Any]:
        with self._lock:
            if self._open is None:
                stack = ExitStack()
                opening = instance(self._path, self._settings, read_only=False, where=where, error=error)
                self._open = stack.enter_context(opening), stack
            connection, stack = self._open
            self._users += 1
        try:
            yield connection.cursor()
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._open = None
                    stack.close()
