"""The connector of MySQL and MariaDB, for reading and loading.

``mysql://user:password@host:3306/database``, or ``mariadb://``; what is left out comes from where the ``mysql`` client
takes it (:mod:`penstock.connectors.mysql._address`). Parameters: ``ssl-mode``, ``ssl-ca``, ``ssl-cert``, ``ssl-key``,
``unix_socket``, ``connect_timeout``. A server that is not on this machine is verified, certificate and host name, unless
``ssl-mode`` says otherwise; on this machine TLS is used where the server offers it but proves nothing, as with MySQL's own
clients.

Reading is one prepared SELECT in a read-only transaction with a consistent snapshot, its rows in the binary protocol:
unbuffered, and turned into Arrow a column at a time (:mod:`penstock.connectors.mysql._decoder`), so that a row costs
Python one look at its length. The session's time zone is UTC; TIMESTAMP columns, and literals compared with them, are too.
:mod:`penstock.connectors.mysql._types` has the types, :mod:`penstock.connectors.mysql._sink` the way in.

In partitions each range is read over a connection of its own; :mod:`penstock.connectors.mysql._snapshot` says how they are
of one snapshot, :mod:`penstock.connectors.mysql._ranges` which rows each has.

However reading ends, nothing keeps running: leaving the block has the server kill the query, over a second connection.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, final

from penstock.connectors._absent import no_column, tables_hint
from penstock.connectors._batches import Batches
from penstock.connectors._ranges import Range, narrowed
from penstock.connectors._requests import SourceRequest
from penstock.connectors._sql import all_columns
from penstock.connectors.mysql import _errors as _mysql_errors
from penstock.connectors.mysql._address import login_of
from penstock.connectors.mysql._connection import Column, Connection, Prepared, connected
from penstock.connectors.mysql._decoder import RowDecoder
from penstock.connectors.mysql._estimates import estimated
from penstock.connectors.mysql._ranges import check_divisible, divided
from penstock.connectors.mysql._sink import MysqlSink, sink
from penstock.connectors.mysql._snapshot import SNAPSHOT, begin, begin_together, prepare_session
from penstock.connectors.mysql._sql import quoted, select
from penstock.connectors.mysql._types import (
    LOAD_TABLE,
    TYPE_TABLE,
    arrow_schema,
    fixed_bytes,
    may_be_longer,
    note_on,
    source_type,
)
from penstock.connectors.mysql._wire import RowTooLong, ServerError
from penstock.errors import BudgetExceeded, ConfigurationError, SourceError
from penstock.flow.contracts import BatchStream
from penstock.flow.description import ColumnType, Description
from penstock.flow.partitions import Partition, Partitions
from penstock.flow.units import format_bytes

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["LOAD_TABLE", "TAKES_TABLES", "TYPE_TABLE", "MysqlSink", "MysqlSource", "sink", "source"]

TAKES_TABLES = True

_MOST_NAMES_SHOWN = 10
# Warnings that mean that a value is not what it should be, and what to do.
_CUT_VALUES = {
    1260: "raise group_concat_max_len, which GROUP_CONCAT cuts its results at",
    1301: "a value became NULL; SET GLOBAL max_allowed_packet = 1073741824 lets it be as long as it is",
}
_TABLES = (
    "SELECT table_name FROM information_schema.tables WHERE table_schema = database() ORDER BY table_name LIMIT 1000"
)


def source(request: SourceRequest) -> MysqlSource:
    """Make a source that reads a table or a query."""
    request.refuse("format", "compression", because="a database has rows, not stored bytes")
    request.check_options()
    return MysqlSource(request)


@final
class MysqlSource:
    """Reads one SELECT. Use through :func:`penstock.connectors.open_source`."""

    byte_formats: frozenset[str] = frozenset()

    def __init__(self, request: SourceRequest, *, begun: Connection | None = None, which: str = "") -> None:
        self.display_name = (request.shown if request.table is None else f"{request.shown} {request.table}") + which
        self.rows_read: int | None = None
        self._request = request
        self._begun = begun  # in its transaction already; whoever opens this source closes it
        self._statement = select(request)
        self._login = login_of(request.uri, request.shown)
        self._seam = _mysql_errors.Seam(SourceError, self.display_name)

    def open_bytes(self, format_name: str) -> AbstractContextManager[Iterator[bytes]]:
        """Refuse: there are rows here and no stored bytes, which is why ``byte_formats`` is empty."""
        raise ConfigurationError(f"{self.display_name}: MySQL does not write {format_name} itself")

    @contextmanager
    def open_batches(self) -> Iterator[BatchStream]:
        """Run the SELECT and give its rows as Arrow batches. Leaving the block stops it, and waits for the server.

        The connection belongs to the calling thread, so iterate in that thread.
        """
        with self._opened() as (connection, prepared):
            with self._seam.translating():
                columns = connection.run(prepared)
            decoder = RowDecoder(
                columns,
                where=self.display_name,
                on_type_loss=self._request.on_type_loss,
                losses=self._request.losses,
            )
            self.rows_read = 0
            yield Batches(decoder.schema, self._batches(connection, decoder, columns))

    def describe(self, format_name: str | None) -> Description:
        """Connect, let the server prepare the statement, and look up what it knows about the tables. Runs nothing."""
        with self._opened() as (connection, prepared), self._seam.translating():
            rows, size = estimated(connection, self._request, self._statement)
        schema = arrow_schema(prepared.columns, self._request.on_type_loss)
        return Description(
            reading="a prepared SELECT, its rows streamed in the binary protocol and turned into Arrow by columns",
            why="MySQL writes no file format to its clients, and its binary rows need no parsing",
            consistency="one read-only transaction WITH CONSISTENT SNAPSHOT, for tables of InnoDB",
            columns=tuple(
                ColumnType(column.name, source_type(column), str(field.type), note_on(column), field.type)
                for column, field in zip(prepared.columns, schema, strict=True)
            ),
            estimated_rows=rows,
            estimated_bytes=size,
        )

    def partitioned(self, most: int, by: str | None) -> AbstractContextManager[Partitions]:
        """Divide a table by a column, by default the first of its primary key, and begin a transaction for each range.

        All transactions have the same snapshot.

        Raises:
            ConfigurationError: the request cannot be divided this way.
        """
        check_divisible(self._request)
        return self._divided(most, by)

    @contextmanager
    def _divided(self, most: int, by: str | None) -> Iterator[Partitions]:
        with ExitStack() as begun:
            # The leader is closed first, and with it ends its lock, whatever happens.
            with self._opened() as (leader, prepared), self._seam.translating():
                ranges = divided(leader, self._request, most, by, [column.name for column in prepared.columns])
                connections = [begun.enter_context(connected(self._login)) for _ in ranges]
                columns = begin_together(leader, connections, self._request, self._statement)
            each = [
                self._part(range_, f", partition {number} of {len(ranges)}", connection)
                for number, (range_, connection) in enumerate(zip(ranges, connections, strict=True), 1)
            ]
            yield Partitions(arrow_schema(columns, self._request.on_type_loss), SNAPSHOT, tuple(each))

    def _part(self, range_: Range, which: str, connection: Connection) -> Partition:
        request = replace(self._request, where=narrowed(self._request.where, range_.condition))
        return Partition(MysqlSource(request, begun=connection, which=which), range_.words)

    @contextmanager
    def _opened(self) -> Iterator[tuple[Connection, Prepared]]:
        with ExitStack() as stack:
            with self._seam.translating():
                connection = self._connection(stack)
            yield connection, self._prepared(connection)

    def _connection(self, stack: ExitStack) -> Connection:
        """Return a connection in a transaction, which ``stack`` closes."""
        if self._begun is not None:
            stack.callback(self._begun.close)
            return self._begun
        connection = stack.enter_context(connected(self._login))
        prepare_session(connection)
        begin(connection)
        return connection

    def _prepared(self, connection: Connection) -> Prepared:
        with self._seam.translating():
            try:
                prepared = connection.prepare(self._statement)
            except ServerError as exc:
                raise self._not_there(connection, exc) from exc
        if prepared.parameters:
            raise self._seam.error("the query has parameters, and nothing to put there", hint="write the values out")
        if not prepared.columns:
            raise self._seam.error("the query returns no columns", hint="use a SELECT")
        return prepared

    def _not_there(self, connection: Connection, exc: ServerError) -> SourceError:
        """Return the error for a statement that was refused, with the tables or columns that exist."""
        table = self._request.table or ""
        if exc.code == _mysql_errors.BAD_FIELD:
            name = str(exc).partition("'")[2].partition("' in ")[0]
            if name in (self._request.columns or ()):
                found = connection.prepare(select(all_columns(self._request)))
                return no_column(name, [column.name for column in found.columns], self.display_name)
        elif exc.code == _mysql_errors.NO_SUCH_TABLE:
            missing = str(exc).partition("'")[2].partition("'")[0].rpartition(".")[2]
            return self._seam.of_server(exc, hint=_similar_tables(connection, missing, table))
        elif "." in table and exc.code in {_mysql_errors.NO_SUCH_DATABASE, *_mysql_errors.DENIED}:
            return self._seam.of_server(exc, hint=_dotted_hint(table, _tables(connection)))
        return self._seam.of_server(exc)

    def _refuse_cut_values(self, connection: Connection) -> None:
        """Check the warnings, if there were any, because the server only warns about values it has truncated or dropped."""
        if not connection.warnings:
            return
        with self._seam.translating():
            warnings = connection.query("SHOW WARNINGS")
        for _level, code, message in warnings:
            if hint := _CUT_VALUES.get(int(code or 0)):
                raise self._seam.error(str(message), hint=hint)

    def _too_long(self, row: int, columns: tuple[Column, ...]) -> BudgetExceeded:
        limit = self._request.max_row_bytes or 0
        wide = [repr(column.name) for column in columns if may_be_longer(column, limit)]
        where = f", in {' or '.join(wide)}" if 0 < len(wide) <= _MOST_NAMES_SHOWN else ""
        return BudgetExceeded(
            f"{self.display_name}: row {row} is longer than {format_bytes(limit)}, all the memory there is{where} "
            "(raise max_memory, or leave the column out)"
        )

    def _batches(
        self, connection: Connection, decoder: RowDecoder, columns: tuple[Column, ...]
    ) -> Iterator[pa.RecordBatch]:
        # Half for what rows take as they come, half for what they take in Arrow however short they came.
        share = max(1, self._request.batch_bytes // 2)
        most_rows = max(1, share // fixed_bytes(decoder.schema))
        while True:
            try:
                with self._seam.translating():
                    block = connection.rows(share, most_rows, self._request.max_row_bytes)
            except RowTooLong as exc:
                raise self._too_long(decoder.rows + 1, columns) from exc
            if block is None:
                self._refuse_cut_values(connection)
                return
            batch = decoder.batch(block)
            self.rows_read = decoder.rows
            del block
            yield batch
            del batch  # or it would be kept alive while the next one is received


def _tables(connection: Connection) -> list[str]:
    return [str(name) for (name,) in connection.query(_TABLES)]


def _similar_tables(connection: Connection, missing: str, table: str) -> str:
    """Return a hint that names the tables there are."""
    names = _tables(connection)
    if not names:
        return "the database has no tables this user can see"
    return tables_hint(table if table in names else missing, names, quote=quoted)


def _dotted_hint(table: str, names: list[str]) -> str:
    return tables_hint(table, names, quote=quoted) if table in names else ""
