"""The sink of MySQL and MariaDB: load a table completely or not at all, although creating tables is not transactional.

A new or replaced table is filled under another name, and then renamed by one ``RENAME TABLE``, which is atomic: readers see
the old table or the new one. Rows are appended in one transaction, so the table's engine must have transactions. If anything
fails, the table under the other name is dropped, over a second connection if need be. If the table to append to has appeared
meanwhile, because several loads began at once, the rows of the one under the other name are added to it.

Rows are loaded by ``LOAD DATA LOCAL INFILE``, one for each batch, if the server allows it (``local_infile``), else by INSERT
statements of many rows. ``LOCAL`` turns errors into warnings, and drops rows; so every warning is an error here.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, final

from penstock.connectors._requests import SinkRequest
from penstock.connectors.mysql import _errors as _mysql_errors
from penstock.connectors.mysql._address import login_of
from penstock.connectors.mysql._columns import LoadColumn, Unfit, load_column
from penstock.connectors.mysql._connection import Connection, Done, connected
from penstock.connectors.mysql._encoding import TooLong, Writer
from penstock.connectors.mysql._fit import fitted
from penstock.connectors.mysql._sql import quoted, quoted_path
from penstock.connectors.mysql._table import ExistingTable, existing_table
from penstock.connectors.mysql._wire import LostConnection, ServerError
from penstock.core._last_wait import last_wait
from penstock.core.cancel import CancelScope, check_cancelled
from penstock.errors import AlreadyExists, SinkError
from penstock.flow.contracts import BatchStream, Receipt

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MysqlSink", "sink"]


_WEEK_SECONDS = 604_800
_CLEAN_UP_SECONDS = 10.0
_MOST_NAMES_SHOWN = 10
_SESSION = (
    f"SET SESSION net_read_timeout = {_WEEK_SECONDS}, net_write_timeout = {_WEEK_SECONDS}, wait_timeout = {_WEEK_SECONDS}, "
    "time_zone = '+00:00', autocommit = 1, "
    # Nothing bends, zero stays zero, and a backslash escapes, whatever the server is set to.
    "sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION'"
)
_AT_ROW = re.compile(r"\bat row (\d+)")


def sink(request: SinkRequest) -> MysqlSink:
    """Make a sink that loads a table."""
    request.refuse_method()
    request.check_options()
    return MysqlSink(request)


@final
class MysqlSink:
    """Loads one table. Use through :func:`penstock.connectors.open_sink`."""

    def __init__(self, request: SinkRequest) -> None:
        self._table = request.table or ""
        self.display_name = f"{request.shown} {self._table}"
        self._login = login_of(request.uri, request.shown)
        self._formats = request.formats
        self._if_exists = request.if_exists
        self._seam = _mysql_errors.Seam(SinkError, self.display_name)
        self._refuse_impossible_name(self._table)
        schema, _, _name = self._table.rpartition(".")
        self._schema = schema

    def check(self) -> bool:
        """Check whether the table exists and can be loaded. Changes nothing.

        Raises:
            AlreadyExists: it exists and ``if_exists`` is ``"fail"``.
            SinkError: there is no connection, it is a view, its engine has no transactions, or other tables refer to it.
        """
        with self._seam.translating(), connected(self._login) as connection:
            found = existing_table(connection, self._table)
        if found is None:
            return True
        if self._if_exists == "fail":
            raise self._already_exists()
        if self._if_exists == "skip":
            return False
        self._refuse_unfit(found)
        return True

    @property
    def loading(self) -> str:
        """How rows get in."""
        where = "in one transaction" if self._if_exists == "append" else "into a new table, which is then renamed"
        return f"LOAD DATA LOCAL INFILE if the server allows it, else INSERT; {where}"

    def column_types(self, schema: pa.Schema) -> tuple[str, ...]:
        """Return the types that the columns of a new table would have. Touches nothing.

        Raises:
            SinkError: MySQL has none for one of them, or takes two of their names for one.
        """
        return tuple(column.sql_type for column in self._columns(schema))

    def load(self, batches: BatchStream) -> Receipt:
        """Read ``batches`` to their end, then publish the table.

        Blocks. A cancel interrupts it, and leaves the database as it was.

        Raises:
            AlreadyExists: the table has appeared meanwhile.
            SinkError: a value does not fit, or the server failed.
        """
        columns = self._columns(batches.schema)
        loading = _Loading(self._seam, batches)
        made: list[str] = []
        with self._dropping(made), self._connected() as connection:
            with self._seam.translating():
                found = existing_table(connection, self._table)
            if found is not None and self._if_exists in {"fail", "skip"}:
                raise self._already_exists()
            if found is not None:
                self._refuse_unfit(found)
            if found is not None and self._if_exists == "append":
                self._append(connection, loading, self._fitted(columns, batches.schema, found), found)
            else:
                self._make(connection, loading, columns, made, is_there=found is not None)
        return Receipt(
            location=self.display_name,
            bytes_stored=loading.arrow_bytes,
            details={"rows": loading.rows, "table": self._table},
        )

    def _columns(self, schema: pa.Schema) -> list[LoadColumn]:
        if not schema.names:
            raise self._seam.error("there are no columns, and MySQL has no table without any")
        folded = [name.lower() for name in schema.names]  # as MySQL compares them
        for name, lower in zip(schema.names, folded, strict=True):
            self._refuse_impossible_name(name)
            if folded.count(lower) > 1:
                raise self._seam.error(f"two columns are called {name!r}", hint="rename one in the query (AS ...)")
        columns = []
        for field in schema:
            try:
                columns.append(load_column(field, self._formats))
            except Unfit as exc:
                raise self._seam.error(f"column {field.name!r}: {exc}", hint="make it text in the query") from exc
        return columns

    def _refuse_impossible_name(self, name: str) -> None:
        if "\0" in name or name.encode(errors="ignore").decode() != name:
            raise self._seam.error(f"{name!r} is no name in MySQL", hint="choose another")

    # --- a table that is there -------------------------------------------------------------------------------------

    def _fitted(self, columns: list[LoadColumn], schema: pa.Schema, found: ExistingTable) -> list[LoadColumn]:
        if problem := found.mismatch([column.name for column in columns]):
            raise self._seam.error(problem, hint="columns are matched by name")
        targets = [found.columns[column.name.lower()] for column in columns]
        return [
            fitted(column, kind, target) for column, kind, target in zip(columns, schema.types, targets, strict=True)
        ]

    def _append(
        self, connection: Connection, loading: _Loading, columns: list[LoadColumn], found: ExistingTable
    ) -> None:
        with self._seam.translating():
            connection.execute("START TRANSACTION")
        loading.load(connection, Writer(quoted_path(self._table), columns, found.columns))
        check_cancelled()
        with self._seam.translating():
            connection.execute("COMMIT")

    # --- a new one -------------------------------------------------------------------------------------------------

    def _make(
        self,
        connection: Connection,
        loading: _Loading,
        columns: list[LoadColumn],
        made: list[str],
        *,
        is_there: bool,
    ) -> None:
        mark = secrets.token_hex(8)
        filled, old = (self._path_of(f"_penstock_{mark}_{kind}") for kind in ("new", "old"))
        made += [filled, old]
        with self._seam.translating():
            connection.execute(_creation(filled, columns))
        # No transaction around it: nobody sees this table, and a rollback would take as long as the load.
        loading.load(connection, Writer(filled, columns))
        check_cancelled()
        if not self._publish(connection, filled, old, is_there=is_there):
            self._join(connection, filled, columns)

    def _publish(self, connection: Connection, filled: str, old: str, *, is_there: bool) -> bool:
        """Put the new table in its place. False if one has appeared there that is to be appended to."""
        target = quoted_path(self._table)
        while True:
            moves = ([f"{target} TO {old}"] if is_there else []) + [f"{filled} TO {target}"]
            try:
                with self._seam.translating():
                    connection.execute(f"RENAME TABLE {', '.join(moves)}")
                break
            except SinkError as exc:
                code = exc.__cause__.code if isinstance(exc.__cause__, ServerError) else 0
                if code == _mysql_errors.TABLE_EXISTS and not is_there and self._if_exists != "overwrite":
                    if self._if_exists == "append":
                        return False
                    raise self._already_exists() from exc
                if code != (_mysql_errors.NO_SUCH_TABLE if is_there else _mysql_errors.TABLE_EXISTS):
                    raise
                is_there = not is_there  # it came, or went, meanwhile
        with self._seam.translating(), CancelScope(shield=True):
            if is_there:
                connection.execute(f"DROP TABLE {old}")
        return True

    def _join(self, connection: Connection, filled: str, columns: list[LoadColumn]) -> None:
        """Add the rows to the table that has appeared, if it is as the one that they are in."""
        target = quoted_path(self._table)
        names = ", ".join(quoted(column.name) for column in columns)
        with self._seam.translating():
            ours, theirs = (sorted(connection.query(f"SHOW FULL COLUMNS FROM {table}")) for table in (filled, target))
            found = existing_table(connection, self._table)
        if ours != theirs or found is None or found.why_not_append:
            message = "another table of this name appeared while rows were read"
            raise self._seam.error(message, hint="try again", transient=True)
        with self._seam.translating():
            connection.execute("START TRANSACTION")
            connection.execute(f"INSERT INTO {target} ({names}) SELECT {names} FROM {filled}")  # noqa: S608 - quoted
        check_cancelled()
        with self._seam.translating():
            connection.execute("COMMIT")
            with CancelScope(shield=True):
                connection.execute(f"DROP TABLE {filled}")

    @contextmanager
    def _dropping(self, tables: list[str]) -> Iterator[None]:
        """If the block fails, drop these tables, if they exist. The block must have closed its connection by then."""
        try:
            yield
        except BaseException as exc:
            if tables:
                self._drop(tables, exc)
            raise

    def _drop(self, tables: list[str], exc: BaseException) -> None:
        try:
            # Shielded: it may be a cancel that brought us here.
            with (
                last_wait(self._login.where, "dropping the unfinished table", _CLEAN_UP_SECONDS),
                CancelScope(timeout=_CLEAN_UP_SECONDS, shield=True) as scope,
                connected(self._login) as connection,
            ):
                connection.execute(f"DROP TABLE IF EXISTS {', '.join(tables)}")
        except (ServerError, LostConnection) as failure:
            self._tell_of(tables, exc, str(failure))
        else:
            if scope.cancelled_caught:
                self._tell_of(tables, exc, "the server did not answer in time")

    def _tell_of(self, tables: list[str], exc: BaseException, failure: str) -> None:
        exc.add_note(f"{self.display_name}: {tables[0]} may have been left behind, drop it: {failure}")

    # --- helpers ---------------------------------------------------------------------------------------------------

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        with ExitStack() as stack:
            with self._seam.translating():
                connection = stack.enter_context(connected(self._login, local_files=True))
                connection.execute(_SESSION)
            yield connection

    def _path_of(self, name: str) -> str:
        return quoted_path(f"{self._schema}.{name}") if self._schema else quoted(name)

    def _refuse_unfit(self, found: ExistingTable) -> None:
        problem = found.why_not_append if self._if_exists == "append" else found.why_not_replace
        if problem:
            raise self._seam.error(problem)

    def _already_exists(self) -> AlreadyExists:
        hint = "if_exists may be overwrite, append or skip"
        return AlreadyExists("the table exists already", where=self.display_name, hint=hint)


def _creation(table: str, columns: list[LoadColumn]) -> str:
    definitions = ", ".join(f"{quoted(column.name)} {column.sql_type}" for column in columns)
    return f"CREATE TABLE {table} ({definitions}) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4"


@final
class _Loading:
    """Loads batches into a table, and counts rows."""

    def __init__(self, seam: _mysql_errors.Seam[SinkError], batches: BatchStream) -> None:
        self.rows = 0
        self.arrow_bytes = 0
        self._seam = seam
        self._batches = batches

    def load(self, connection: Connection, writer: Writer) -> None:
        """Load every batch. Exceptions from reading them are raised unchanged."""
        with self._seam.translating():
            ((allowed, packet_bytes),) = connection.query("SELECT @@local_infile, @@max_allowed_packet")
        for batch in self._batches:
            if batch.num_rows:
                with self._seam.translating(), self._fitting():
                    if allowed == "1":
                        self._load(connection, writer, batch)
                    else:
                        self._insert(connection, writer, batch, int(packet_bytes or 0))
            self.arrow_bytes += batch.nbytes

    def _load(self, connection: Connection, writer: Writer, batch: pa.RecordBatch) -> None:
        done = connection.load(writer.load_statement, [writer.lines(batch)])
        self._check(connection, done, batch.num_rows)

    def _insert(self, connection: Connection, writer: Writer, batch: pa.RecordBatch, most_bytes: int) -> None:
        for statement, rows in writer.inserts(batch, most_bytes - 1):
            self._check(connection, connection.execute(statement), rows)

    def _check(self, connection: Connection, done: Done, rows: int) -> None:
        """Raise any warning as the error it would be without LOCAL; without warnings, check the number of rows."""
        if done.warnings:
            warnings = connection.query("SHOW WARNINGS LIMIT 1")
            text = str(warnings[0][2]) if warnings else f"{done.warnings} warnings"
            raise self._seam.error(_AT_ROW.sub(lambda found: f"at row {self.rows + int(found[1])}", text))
        if done.affected_rows != rows:
            raise self._seam.error(
                f"the server took {done.affected_rows} of {rows} rows, and says nothing of the others"
            )
        self.rows += rows

    @contextmanager
    def _fitting(self) -> Iterator[None]:
        try:
            yield
        except Unfit as exc:
            raise self._seam.error(str(exc), hint="make it text, or NULL, in the query") from exc
        except TooLong as exc:
            hint = "raise it: SET GLOBAL max_allowed_packet = 1073741824"
            raise self._seam.error(str(exc), hint=hint) from exc
