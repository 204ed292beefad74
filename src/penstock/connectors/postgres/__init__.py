"""PostgreSQL, for reading and for loading, by COPY.

``postgresql://user@host:port/database``; what is left out comes from where libpq always takes it: ``PG*`` variables,
``~/.pgpass``, service files. But a server on another machine is verified unless somebody says otherwise
(:mod:`penstock.connectors.postgres._tls`). Rows never become Python objects, in neither direction.

**Reading** runs one COPY in a read-only transaction, so all rows are of one snapshot. A copy to CSV passes the server's
own bytes on, other formats parse those bytes into Arrow. :mod:`penstock.connectors.postgres._types` has the types, and
what few columns the server rewrites first. Rows go past libpq (:mod:`penstock.connectors.postgres._row_stream`), under
TLS on Linux only, and never if GSSAPI encrypts them. A row is received whole, so one may be ``max_row_bytes`` long and
no longer; what copies there are of a wide one is in :mod:`penstock.connectors.postgres._libpq` and
:mod:`penstock.connectors.postgres._wide_rows`.

**Loading** runs COPYs in one transaction; :mod:`penstock.connectors.postgres._sink` has the rules.

However either ends, nothing keeps running: leaving cancels the statement and waits until the server says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

from penstock.connectors._absent import no_column, tables_hint
from penstock.connectors._batches import Batches
from penstock.connectors._located import located
from penstock.connectors._ranges import Range, narrowed
from penstock.connectors._requests import SinkRequest, SourceRequest
from penstock.connectors._sql import all_columns, bare, literal, select_statement
from penstock.connectors.postgres import _describe as _postgres_describe
from penstock.connectors.postgres._address import parsed_address
from penstock.connectors.postgres._decode import BLOCK_PREFIX, BatchDecoder, row_bytes
from penstock.connectors.postgres._errors import NO_SNAPSHOT, UNDEFINED_COLUMN, UNDEFINED_TABLE, Seam
from penstock.connectors.postgres._libpq import Connection, ServerError, connected
from penstock.connectors.postgres._ranges import check_divisible, divided
from penstock.connectors.postgres._results import rows
from penstock.connectors.postgres._row_stream import Chunk, RowTooLong, WideRow
from penstock.connectors.postgres._sink import PostgresSink
from penstock.connectors.postgres._types import Column, arrow_schema, projection, type_query
from penstock.errors import BudgetExceeded, ConfigurationError, SourceError
from penstock.flow.contracts import BatchStream
from penstock.flow.description import Description
from penstock.flow.partitions import Partition, Partitions
from penstock.flow.units import format_bytes

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["TAKES_TABLES", "PostgresSource", "sink", "source"]

TAKES_TABLES = True

_MOST_NAMES_SHOWN = 10
_PIECE_BYTES = 1 << 20
# What the text of values depends on, and what a server or user may have set otherwise.
_SETTINGS = (
    "SET LOCAL timezone TO 'UTC'; SET LOCAL datestyle TO 'ISO'; "
    "SET LOCAL intervalstyle TO 'iso_8601'; SET LOCAL extra_float_digits TO 3"
)
_READ = "BEGIN READ ONLY"
# A snapshot for each statement: what tells the ranges locks the tables, and only then is the one taken that is shared. It
# waits for others meanwhile, as nothing else does.
_SHARE = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; SET LOCAL idle_in_transaction_session_timeout TO 0"
# Whoever waits to change the table waits for the transaction that shares; whoever queued behind would wait for ever.
_TAKE = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {snapshot}; SET LOCAL lock_timeout TO '5s'"
_SNAPSHOT = "one snapshot, exported by one read-only transaction and taken by that of every partition"
_TABLES = (
    "SELECT CASE WHEN pg_catalog.pg_table_is_visible(c.oid) THEN c.relname ELSE n.nspname || '.' || c.relname END "
    "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema') "
    "ORDER BY 1 LIMIT 1000"
)


def source(request: SourceRequest) -> PostgresSource:
    """Make a source that reads a table or a query."""
    request.refuse("format", "format_options", "compression", because="a database has rows, not stored bytes")
    request.check_options()
    return PostgresSource(request)


def sink(request: SinkRequest) -> PostgresSink:
    """Make a sink that loads a table."""
    request.refuse_method()
    request.check_options()
    return PostgresSink(request)


@dataclass(frozen=True)
class _Reading:
    """A statement that is ready to run.

    Attributes:
        connection: in a transaction.
        columns: of the statement.
        nested: OIDs of those of its types that are arrays or composite.
    """

    connection: Connection
    columns: list[Column]
    nested: frozenset[int]


@final
class PostgresSource:
    """Reads one SELECT. Use through :func:`penstock.connectors.open_source`."""

    byte_formats = frozenset({"csv"})

    def __init__(self, request: SourceRequest, *, begin: str = _READ, which: str = "") -> None:
        self.display_name = (request.shown if request.table is None else f"{request.shown} {request.table}") + which
        self.rows_read: int | None = None
        self._request = request
        self._begin = begin
        self._statement = bare(select_statement(request))
        self._address = parsed_address(request.uri, request.shown)
        self._seam = Seam(self.display_name, SourceError)

    @contextmanager
    def open_bytes(self, format_name: str) -> Iterator[Iterator[bytes]]:
        """Run the SELECT as ``COPY ... (FORMAT csv, HEADER)`` and give the server's bytes."""
        assert format_name in self.byte_formats
        with self._opened() as reading:
            yield self._lines(reading)

    @contextmanager
    def open_batches(self) -> Iterator[BatchStream]:
        """Run the SELECT as a COPY and give its rows as Arrow batches."""
        with self._opened() as reading:
            schema = self._schema(reading)
            yield Batches(schema, self._batches(reading, schema))

    def describe(self, format_name: str | None) -> Description:
        """Connect, have the server parse and plan the SELECT, and disconnect. Nothing of it is run."""
        with self._opened() as reading, self._seam.translating():
            return _postgres_describe.described(
                reading.connection,
                self._statement,
                reading.columns,
                nested=reading.nested,
                schema=None if format_name in self.byte_formats else self._schema(reading),
                request=self._request,
            )

    def partitioned(self, most: int, by: str | None) -> AbstractContextManager[Partitions]:
        """Divide a table by the place of its rows on the disk, or anything by a column; export a snapshot for all ranges.

        Raises:
            ConfigurationError: what is to be read can not be divided so.
        """
        check_divisible(self._request, by)
        return PostgresSource(self._request, begin=_SHARE)._divided(most, by)

    # --- reading ------------------------------------------------------------------------------------------------

    @contextmanager
    def _opened(self) -> Iterator[_Reading]:
        with ExitStack() as stack:
            with self._seam.translating():
                connecting = connected(self._address.conninfo, timeout_seconds=self._address.connect_seconds)
                connection = stack.enter_context(connecting)
                self._begin_on(connection)
            columns = self._columns(connection)
            with self._seam.translating():
                nested = _nested_types(connection, columns)
            yield _Reading(connection, columns, nested)

    def _begin_on(self, connection: Connection) -> None:
        try:
            connection.execute(f"{self._begin}; {_SETTINGS}")
        except ServerError as exc:
            if exc.sqlstate not in NO_SNAPSHOT:
                raise
            hint = "every connection must reach the same server, and the first one must last"
            raise self._seam.refused(exc, hint=hint) from exc

    @contextmanager
    def _divided(self, most: int, by: str | None) -> Iterator[Partitions]:
        with self._opened() as reading:
            names = [column.name for column in reading.columns]
            with self._seam.translating():
                ranges = divided(reading.connection, self._request, most, by, names)
                ((snapshot,),) = rows(reading.connection, "SELECT pg_catalog.pg_export_snapshot()")
            each = [
                self._part(range_, f"{number} of {len(ranges)}", snapshot) for number, range_ in enumerate(ranges, 1)
            ]
            yield Partitions(self._schema(reading), _SNAPSHOT, tuple(each))

    def _part(self, range_: Range, which: str, snapshot: str) -> Partition:
        request = replace(self._request, where=narrowed(self._request.where, range_.condition))
        begin = _TAKE.format(snapshot=literal(snapshot))
        return Partition(PostgresSource(request, begin=begin, which=f", partition {which}"), range_.words)

    def _columns(self, connection: Connection) -> list[Column]:
        try:
            with self._seam.lost_translated():
                result = connection.describe(self._statement)
                if not result.nfields and not _has_rows(connection, self._statement):
                    raise SourceError("the query returns no columns", where=self.display_name, hint="use a SELECT")
        except ServerError as exc:
            raise self._refused(connection, exc) from exc
        return [
            Column((result.fname(index) or b"").decode(), result.ftype(index), result.fmod(index))
            for index in range(result.nfields)
        ]

    def _schema(self, reading: _Reading) -> pa.Schema:
        return arrow_schema(reading.columns, text_where_lossy=self._request.on_type_loss == "text")

    def _lines(self, reading: _Reading) -> Iterator[bytes]:
        """Yield the server's CSV, counting rows."""
        rows = -1  # the header is one
        for chunk in self._copied(reading, "base64", "FORMAT csv, HEADER", headers=1):
            rows += chunk.rows
            if not reading.columns and rows:
                raise ConfigurationError(f"{self.display_name}: there are rows without columns, which CSV can not hold")
            self.rows_read = rows
            if reading.columns:
                yield from _pieces(chunk.data)
            del chunk  # or it would be here still while the next one is received

    def _batches(self, reading: _Reading, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        decoder = BatchDecoder(schema, self._request.on_type_loss, self._request.losses)
        half = self._request.batch_bytes // 2  # a row takes its text, at most, and what it takes at least
        most_rows = max(1, half // row_bytes(schema))
        self.rows_read = rows = 0
        chunks = self._copied(
            reading,
            "hex",
            "FORMAT csv",
            chunk_bytes=half,
            most_rows=most_rows,
            prefix=BLOCK_PREFIX,
            spaced=decoder.skips_empty_lines,
        )
        for chunk in chunks:
            with located(self.display_name):
                batch = (
                    decoder.wide_row(chunk.data, rows)
                    if isinstance(chunk, WideRow)
                    else decoder.batch(chunk.data, chunk.rows, rows)
                )
            rows += chunk.rows
            self.rows_read = rows
            del chunk
            yield batch
            del batch  # or it would be here still while the next one is received

    def _copied(self, reading: _Reading, bytes_as: str, options: str, **chunking: object) -> Iterator[Chunk | WideRow]:
        statement = projection(self._statement, reading.columns, reading.nested, bytes_as=bytes_as)
        chunks = reading.connection.copy_out(
            f"COPY (\n{statement}\n) TO STDOUT ({options})",
            most_row_bytes=self._request.max_row_bytes,
            **chunking,  # type: ignore[arg-type]  # as copy_out has them
        )
        while True:
            try:
                with self._seam.translating():
                    chunk = next(chunks, None)
            except RowTooLong as exc:
                raise self._too_long(exc.rows_before + ("HEADER" not in options), reading.columns) from exc
            if chunk is None:
                return
            yield chunk
            del chunk

    # --- errors -------------------------------------------------------------------------------------------------

    def _too_long(self, row: int, columns: list[Column]) -> BudgetExceeded:
        assert self._request.max_row_bytes is not None
        limit = format_bytes(self._request.max_row_bytes)
        wide = [repr(column.name) for column in columns if column.may_be_long]
        where = f", in {' or '.join(wide)}" if 0 < len(wide) <= _MOST_NAMES_SHOWN else ""
        return BudgetExceeded(
            f"{self.display_name}: row {row} is longer than {limit}, all the memory there is{where} "
            "(raise max_memory, or leave the column out)"
        )

    def _refused(self, connection: Connection, exc: ServerError) -> Exception:
        missing = str(exc).partition('"')[2].rpartition('"')[0]
        with self._seam.translating():
            if exc.sqlstate == UNDEFINED_COLUMN and missing in (self._request.columns or ()):
                connection.execute("ROLLBACK")
                result = connection.describe(select_statement(all_columns(self._request)))
                names = [(result.fname(index) or b"").decode() for index in range(result.nfields)]
                return no_column(missing, names, self.display_name)
            similar = _similar_tables(connection, missing) if exc.sqlstate == UNDEFINED_TABLE else ""
        return self._seam.refused(exc, hint=similar)


def _pieces(data: bytes | bytearray | memoryview) -> Iterator[bytes]:
    """Yield ``data``, a wide row in pieces, so that there is no copy of all of it."""
    if isinstance(data, bytes):
        yield data
        return
    with memoryview(data) as view:
        for start in range(0, len(view), _PIECE_BYTES):
            yield bytes(view[start : start + _PIECE_BYTES])


def _has_rows(connection: Connection, statement: str) -> bool:
    """Whether a statement without columns is a SELECT without any, which has rows all the same."""
    try:
        connection.execute("SAVEPOINT looking")
        connection.describe(f"SELECT FROM (\n{statement}\n) AS query")
    except ServerError:
        connection.execute("ROLLBACK TO looking")
        return False
    connection.execute("RELEASE looking")  # no snapshot can be shared from within
    return True


def _nested_types(connection: Connection, columns: list[Column]) -> frozenset[int]:
    query = type_query(columns)
    if query is None:
        return frozenset()
    result = connection.execute(query)
    return frozenset(int(result.get_value(row, 0) or 0) for row in range(result.ntuples))


def _similar_tables(connection: Connection, missing: str) -> str:
    """Return a hint that names the tables there are. The transaction has failed, so it takes a new one."""
    result = connection.execute(f"ROLLBACK; {_TABLES}")
    names = [(result.get_value(row, 0) or b"").decode() for row in range(result.ntuples)]
    if not names:
        return "the database has no tables this user can see"
    return tables_hint(missing, names)
