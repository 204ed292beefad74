"""PostgreSQL, for reading, by COPY.

``postgresql://user@host:port/database``; what is left out comes from where libpq always takes it: ``PG*`` variables,
``~/.pgpass``, service files. The transaction is read-only. Rows never become Python objects: a copy to CSV passes the
server's own bytes on, other formats parse those bytes into Arrow. :mod:`penstock.connectors._postgres_types` has the
types, and what few columns the server rewrites first.

However reading ends, nothing keeps running: leaving the block cancels the query and waits until the server says so.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast, final

from penstock._extras import need
from penstock.connectors import _postgres_errors
from penstock.connectors._batches import Batches
from penstock.connectors._libpq import Connection, LostConnection, ServerError, connected
from penstock.connectors._located import located
from penstock.connectors._postgres_types import Column, arrow_schema, projection, type_query
from penstock.connectors._requests import SourceRequest
from penstock.connectors._sql import bare, select_statement
from penstock.errors import ConfigurationError, SourceError
from penstock.flow.contracts import BatchStream
from penstock.flow.suggest import did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["PostgresSource", "source"]

_CONNECT_SECONDS = 10.0
_MOST_NAMES_SHOWN = 10
_ESCAPING = "write characters like @ : / # % in a password as %40 %3A %2F %23 %25"
# What the text of values depends on, and what a server or user may have set otherwise.
_SETTINGS = (
    "BEGIN READ ONLY; SET LOCAL timezone TO 'UTC'; SET LOCAL datestyle TO 'ISO'; "
    "SET LOCAL intervalstyle TO 'iso_8601'; SET LOCAL extra_float_digits TO 3"
)
_TABLES = (
    "SELECT CASE WHEN pg_catalog.pg_table_is_visible(c.oid) THEN c.relname ELSE n.nspname || '.' || c.relname END "
    "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema') "
    "ORDER BY 1 LIMIT 1000"
)


def source(request: SourceRequest) -> PostgresSource:
    """Make a source that reads a table or a query."""
    request.refuse("format", "compression", because="a database has rows, not stored bytes")
    return PostgresSource(request)


@final
class PostgresSource:
    """Reads one SELECT. Use through :func:`penstock.connectors.open_source`."""

    byte_formats = frozenset({"csv"})

    def __init__(self, request: SourceRequest) -> None:
        self.display_name = request.shown if request.table is None else f"{request.shown} {request.table}"
        self.rows_read: int | None = None
        self._formats = request.formats
        self._statement = bare(select_statement(request))
        self._conninfo, self._connect_seconds = _conninfo(request.uri, request.shown)

    @contextmanager
    def open_bytes(self, format_name: str) -> Iterator[Iterator[bytes]]:
        """Run the SELECT as ``COPY ... (FORMAT csv, HEADER)`` and give the server's bytes."""
        assert format_name in self.byte_formats
        with self._opened() as (connection, statement, _columns):
            yield self._chunks(connection, statement)

    @contextmanager
    def open_batches(self) -> Iterator[BatchStream]:
        """Run the SELECT as a COPY and give its rows as Arrow batches."""
        with self._opened() as (connection, statement, columns), ExitStack() as stack:
            stream = _Stream(self._chunks(connection, statement))
            with located(self.display_name):
                decoding = self._formats.format_by_name("csv").decode(cast(BinaryIO, stream), arrow_schema(columns))
                batches = stack.enter_context(decoding)
            yield Batches(batches.schema, self._located(batches))

    @contextmanager
    def _opened(self) -> Iterator[tuple[Connection, str, list[Column]]]:
        with ExitStack() as stack:
            with self._translating():
                connection = stack.enter_context(connected(self._conninfo, timeout_seconds=self._connect_seconds))
                connection.execute(_SETTINGS)
            columns = self._described(connection)
            with self._translating():
                statement = projection(self._statement, columns, _nested_types(connection, columns))
            yield connection, statement, columns

    def _described(self, connection: Connection) -> list[Column]:
        try:
            with self._lost_translated():
                result = connection.describe(self._statement)
        except ServerError as exc:
            raise self._refused(connection, exc) from exc
        if not result.nfields:
            raise SourceError("the query returns no columns", where=self.display_name, hint="use a SELECT")
        return [
            Column((result.fname(index) or b"").decode(), result.ftype(index), result.fmod(index))
            for index in range(result.nfields)
        ]

    def _chunks(self, connection: Connection, statement: str) -> Iterator[bytes]:
        lines = -1  # the header is one
        chunks = connection.copy_out(f"COPY (\n{statement}\n) TO STDOUT (FORMAT csv, HEADER)")
        while True:
            with self._translating():
                chunk = next(chunks, None)
            if chunk is None:
                return
            lines += chunk[1]
            self.rows_read = lines
            yield chunk[0]

    def _located(self, batches: BatchStream) -> Iterator[pa.RecordBatch]:
        with located(self.display_name, hint="make it text in the query: column::text"):
            yield from batches

    # --- errors: the one seam -----------------------------------------------------------------------------------

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            with self._lost_translated():
                yield
        except ServerError as exc:
            raise _postgres_errors.of_statement(exc, self.display_name) from exc

    @contextmanager
    def _lost_translated(self) -> Iterator[None]:
        try:
            yield
        except LostConnection as exc:
            raise _postgres_errors.of_connection(exc, self.display_name) from exc

    def _refused(self, connection: Connection, exc: ServerError) -> SourceError:
        similar = ""
        if exc.sqlstate == _postgres_errors.UNDEFINED_TABLE:
            with self._translating():
                similar = _similar_tables(connection, str(exc))
        return _postgres_errors.of_statement(exc, self.display_name, similar=similar)


def _conninfo(uri: str, shown: str) -> tuple[str, float]:
    """Return libpq's connection string and the time to connect in.

    Raises:
        ConfigurationError: libpq does not understand the address.
    """
    psycopg = need("psycopg", extra="postgres", why="read PostgreSQL")
    need("psycopg.conninfo", extra="postgres", why="read PostgreSQL")
    _scheme, _, rest = uri.partition("://")
    try:
        parameters = psycopg.conninfo.conninfo_to_dict(f"postgresql://{rest}")
    except psycopg.Error:
        # Not chained: libpq's message repeats what may be the password.
        raise ConfigurationError(f"{shown}: not a well-formed PostgreSQL address; {_ESCAPING}") from None
    seconds = parameters.get("connect_timeout") or os.environ.get("PGCONNECT_TIMEOUT") or _CONNECT_SECONDS
    if "PGAPPNAME" in os.environ:
        parameters.setdefault("application_name", os.environ["PGAPPNAME"])
    if not str(parameters.get("port", "0")).replace(",", "").isdecimal():
        raise ConfigurationError(f"{shown}: the port is not a number; {_ESCAPING}")  # what is there may be a password
    try:
        limit = float(seconds)
    except ValueError:
        raise ConfigurationError(f"{shown}: connect_timeout is not a number of seconds") from None
    # libpq: zero, negative: wait for ever. Nothing here does.
    given = {"application_name": "penstock", **parameters, "client_encoding": "UTF8"}
    return psycopg.conninfo.make_conninfo(**given), limit if limit > 0 else _CONNECT_SECONDS


def _nested_types(connection: Connection, columns: list[Column]) -> frozenset[int]:
    query = type_query(columns)
    if query is None:
        return frozenset()
    result = connection.execute(query)
    return frozenset(int(result.get_value(row, 0) or 0) for row in range(result.ntuples))


def _similar_tables(connection: Connection, message: str) -> str:
    """Return a hint that names the tables there are. The transaction has failed, so it takes a new one."""
    result = connection.execute(f"ROLLBACK; {_TABLES}")
    names = [(result.get_value(row, 0) or b"").decode() for row in range(result.ntuples)]
    if not names:
        return "the database has no tables this user can see"
    missing = message.partition('"')[2].rpartition('"')[0]
    more = ", ..." if len(names) > _MOST_NAMES_SHOWN else ""
    return did_you_mean(missing, names, otherwise=f"there are {', '.join(names[:_MOST_NAMES_SHOWN])}{more}")


class _Stream:
    """A reader of chunks: ``read(n)`` fills."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def read(self, size: int, /) -> bytes:
        parts = [self._rest]
        missing = size - len(self._rest)
        while missing > 0 and (chunk := next(self._chunks, b"")):
            parts.append(chunk)
            missing -= len(chunk)
        joined = b"".join(parts)
        self._rest = joined[size:]
        return joined[:size]
