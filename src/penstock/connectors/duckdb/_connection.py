"""A DuckDB connection in this process: opened with bounded memory, interrupted on cancel, its errors turned into ours.

By default DuckDB takes 80 % of the machine's memory, writes what does not fit beside the database, installs extensions
from the network without asking, and reads variables of the calling program as tables. Here its memory is a fixed amount,
what does not fit goes to a temporary folder that is removed, an extension that is not installed is an error, and Python
variables are not read.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from penstock._extras import need
from penstock.connectors._absent import tables_hint
from penstock.connectors._interrupting import interrupting
from penstock.connectors._requests import SinkRequest, SourceRequest
from penstock.connectors._sql import literal
from penstock.connectors._uri import local_path, query_parameters
from penstock.core.cancel import check_cancelled
from penstock.errors import ConfigurationError, ConnectorError, SinkError
from penstock.flow.units import parse_size

__all__ = [
    "CONVERT",
    "IN_MEMORY",
    "NOT_KEPT",
    "OPTIONS",
    "Database",
    "Settings",
    "database_path",
    "duckdb_module",
    "instance",
    "settings_of",
]

IN_MEMORY = ":memory:"
NOT_KEPT = " in the table, which does not keep "
"""What every message of a value that would be lost has in it."""
CONVERT = "convert it before: in the query of the source, or with a step (map) in Python"
"""What to do about it."""
OPTIONS = frozenset({"memory_limit", "threads"})

_LOADED = "penstock_loaded"
_LEAST_MEMORY_BYTES = 256 << 20
_MOST_DEFAULT_THREADS = 4  # every thread holds vectors of its own
_TABLES = (
    "SELECT CASE WHEN schema_name = current_schema() THEN table_name ELSE schema_name || '.' || table_name END "
    "FROM (SELECT schema_name, table_name FROM duckdb_tables() UNION ALL "
    "SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal) ORDER BY 1 LIMIT 1000"
)


def duckdb_module() -> Any:
    """Return ``duckdb``."""
    return need("duckdb", extra="duckdb", why="use DuckDB")


def database_path(request: SourceRequest | SinkRequest) -> Path | None:
    """Return the file in the address; None for ``duckdb:///:memory:``.

    Raises:
        ConfigurationError: there is no path in it, or something after it.
    """
    address, _, query = request.uri.partition("?")
    query_parameters(query, known=frozenset(), where=request.shown)
    path = local_path(address, "duckdb")
    return None if path == IN_MEMORY else Path(path)


@dataclass(frozen=True)
class Settings:
    """How much of the machine DuckDB may use.

    Attributes:
        memory_bytes: memory for its buffers, sorts and hash tables.
        threads: the number of threads that compute.
        result_bytes: how many bytes of a result may wait to be fetched.
    """

    memory_bytes: int
    threads: int
    result_bytes: int

    def or_more(self, other: Settings) -> Settings:
        """Return settings that are enough for both."""
        return Settings(
            memory_bytes=max(self.memory_bytes, other.memory_bytes),
            threads=max(self.threads, other.threads),
            result_bytes=max(self.result_bytes, other.result_bytes),
        )


def settings_of(options: Mapping[str, object], batch_bytes: int, shown: str) -> Settings:
    """Return the settings that the options of a request mean.

    Raises:
        ConfigurationError: one of them makes no sense.
    """
    limit = options.get("memory_limit")
    if limit is None:
        memory_bytes = max(_LEAST_MEMORY_BYTES, 64 * batch_bytes)
    elif isinstance(limit, int | str):
        memory_bytes = parse_size(limit, name="memory_limit")
    else:
        raise ConfigurationError(f"{shown}: memory_limit is a size, such as '1GiB', not {limit!r}")
    given = options.get("threads")
    try:
        threads = min(_MOST_DEFAULT_THREADS, os.cpu_count() or 1) if given is None else int(str(given))
    except ValueError:
        threads = 0
    if threads < 1:
        raise ConfigurationError(f"{shown}: threads is a number above zero, not {given!r}")
    return Settings(memory_bytes=memory_bytes, threads=threads, result_bytes=batch_bytes)


@final
class Database:
    """One open connection. Every call of it may block, and is interrupted when the scope is cancelled.

    Args:
        connection: DuckDB's own.
        where: for messages.
        error: what failures become: ``SourceError`` or ``SinkError``.
    """

    def __init__(self, connection: Any, where: str, error: type[ConnectorError]) -> None:
        self._connection = connection
        self._where = where
        self._error = error

    @classmethod
    @contextmanager
    def opened(
        cls, path: Path | None, settings: Settings, *, read_only: bool, where: str, error: type[ConnectorError]
    ) -> Iterator[Database]:
        """Open the database; leaving the block closes it and removes its temporary folder.

        Raises:
            ConnectorError: of the given kind: it cannot be opened.
        """
        with instance(path, settings, read_only=read_only, where=where, error=error) as connection:
            database = cls(connection, where, error)
            database.prepare(settings)
            yield database

    @classmethod
    @contextmanager
    def loading(cls, path: Path, settings: Settings, rows_of_a_row_group: int, *, where: str) -> Iterator[Database]:
        """Open, or create, a database to load a table into, in row groups of so many rows; as :meth:`opened` does.

        Raises:
            SinkError: it cannot be opened.
        """
        # How many rows a row group has can be said only of a database that is attached to another.
        with instance(None, settings, read_only=False, where=where, error=SinkError) as connection:
            database = cls(connection, where, SinkError)
            file = literal(str(path.absolute()))
            database.run(f"ATTACH {file} AS {_LOADED} (TYPE duckdb, ROW_GROUP_SIZE {rows_of_a_row_group})")
            database.run(f"USE {_LOADED}")
            database.prepare(settings)
            yield database

    def prepare(self, settings: Settings) -> None:
        """Set what each connection has of its own."""
        self.run(f"SET max_streaming_buffer_size = '{settings.result_bytes}B'")
        self.run("SET TimeZone = 'UTC'")

    @contextmanager
    def calling(self) -> Iterator[Any]:
        """Give DuckDB's connection for calls: a cancel interrupts them, and their errors become ours."""
        duckdb = duckdb_module()
        with interrupting(self._connection.interrupt):
            try:
                yield self._connection
            except duckdb.Error as exc:
                raise self.failed(exc) from exc

    def run(self, statement: str) -> None:
        """Run a statement to its end."""
        with self.calling() as connection:
            connection.execute(statement).complete()

    def rows(self, query: str, parameters: list[object] | None = None) -> list[tuple[Any, ...]]:
        """Run a query of few rows and return them."""
        with self.calling() as connection:
            found: list[tuple[Any, ...]] = connection.execute(query, parameters or []).fetchall()
        return found

    def shrink(self, memory_bytes: int, *, back_to: int) -> None:
        """Make DuckDB release what it holds beyond ``memory_bytes`` and does not need. Takes some milliseconds."""
        # Beside the query that is being read, which its own connection could not run another statement under.
        with closing(self._connection.cursor()) as beside:
            try:
                beside.execute(f"SET memory_limit = '{memory_bytes}B'")
            except duckdb_module().Error:
                return  # it needs more than that at the moment, and its limit is as it was
            beside.execute(f"SET memory_limit = '{back_to}B'")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the block in a transaction: committed at its end, rolled back if it fails or the scope is cancelled by then."""
        self.run("BEGIN TRANSACTION")
        try:
            yield
            check_cancelled()
            self.run("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        """Roll back the transaction, whatever state it is in, even under a cancelled scope."""
        try:
            self._connection.rollback()
        except duckdb_module().Error:
            return  # there is none, or closing will undo it

    def failed(self, exc: Exception) -> ConnectorError:
        """Return our error for one of DuckDB's."""
        missing = re.search(r"Table with name (.*?) does not exist", str(exc))
        if missing is None:
            return _translated(exc, self._where, self._error)
        return self._error(f"no such table: {missing[1]}", where=self._where, hint=self._similar_tables(missing[1]))

    def _similar_tables(self, missing: str) -> str:
        try:
            names = [name for (name,) in self._connection.execute(_TABLES).fetchall()]
        except duckdb_module().Error:
            return "the transaction has failed"
        if not names:
            return "the database has no tables"
        return tables_hint(missing.strip('"'), names)


@contextmanager
def instance(
    path: Path | None, settings: Settings, *, read_only: bool, where: str, error: type[ConnectorError]
) -> Iterator[Any]:
    """Give DuckDB's connection to a database that nobody else in this process has open; its folder goes with it.

    Raises:
        ConnectorError: of the given kind: it cannot be opened.
    """
    duckdb = duckdb_module()
    with ExitStack() as stack:
        spilled = stack.enter_context(tempfile.TemporaryDirectory(prefix="penstock-duckdb-"))
        configuration = {
            "memory_limit": f"{settings.memory_bytes}B",
            "threads": settings.threads,
            "temp_directory": spilled,
            "autoinstall_known_extensions": False,
            "python_enable_replacements": False,
            "write_buffer_row_group_count": 1,  # a row group is written when it is complete, and not five at once
        }
        target = IN_MEMORY if path is None else str(path)
        try:
            connection = duckdb.connect(target, read_only=read_only and path is not None, config=configuration)
        except duckdb.Error as exc:
            raise _translated(exc, where, error) from exc
        stack.enter_context(closing(connection))
        yield connection


def _translated(exc: Exception, where: str, error: type[ConnectorError]) -> ConnectorError:
    """Keep the first paragraph of DuckDB's message, without the class it begins with."""
    text = str(exc).partition("\n\n")[0]
    for sign, message, hint, transient in _EXPLAINED:
        if sign in text:
            return error(message or _plain(text), where=where, hint=hint, transient=transient)
    return error(_plain(text), where=where)


def _plain(text: str) -> str:
    """Return the message without its kind, "Binder Error: ", on one line."""
    return " ".join(re.sub(r"^[A-Z][A-Za-z ]* Error: ", "", text).split())


_NO_ROOM = "give it more with the option memory_limit; DuckDB holds 2,048 rows at a time, however wide they are"
_EXPLAINED = (
    # what DuckDB says, what we say instead, what to do about it, whether trying again may help
    (NOT_KEPT, "", CONVERT, False),  # first: the value that follows may have any words in it
    ("Could not set lock", "another process has it open", "close it there, and try again", True),
    (
        "different configuration than existing connections",
        "this process has it open already",
        "close the other connection, and try again",
        False,
    ),
    ("not a valid DuckDB database", "it is not a DuckDB database", "is it the right file, and not encrypted?", False),
    ("Out of Memory Error", "", _NO_ROOM, False),
    ("Failed to commit: failed to pin block", "", _NO_ROOM, False),
    ("Failed to commit: could not allocate block", "", _NO_ROOM, False),
    ("install the required extension", "", "no extension is downloaded here; INSTALL it with DuckDB first", False),
    ("Permission denied", "permission denied", "the user running this may not open it", False),
    ("No space left on device", "no space left on device", "the disk is full; nothing was left behind", False),
    ("read-only mode", "", "sources are only read", False),
    ("INTERRUPT Error", "the query was interrupted", "", True),
)
