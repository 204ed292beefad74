"""Loading into a table of PostgreSQL: one transaction, in it a COPY for every 16 MiB or second.

Until it commits nobody sees any of it, and however it fails the database is as it was. The columns of a table that is
created come from the data (:data:`~penstock.connectors.postgres._load_types.LOAD_TABLE`). Where the table is there:

- ``append``: columns are matched by name. The data may lack some, which then have their default.
- ``overwrite``: when the data has the columns of the table, its rows are replaced, and everything else stays: types,
  keys, indexes, grants, views on it. They are deleted, not truncated, so that readers go on seeing the old rows until
  all of the new are there; only writers wait. What was deleted takes room until the next VACUUM. A foreign key that would
  then delete rows of another table, or change them, is an error; so is a trigger or rule that keeps rows.
  When the columns differ, a new table takes its place; grants and indexes go with the old one, and when other objects
  depend on that it is an error and nothing happens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

from penstock.connectors._requests import SinkRequest
from penstock.connectors._sql import quoted
from penstock.connectors.postgres._address import parsed_address
from penstock.connectors.postgres._errors import DUPLICATE_TYPE, Seam, is_there_already
from penstock.connectors.postgres._fit import TargetColumn
from penstock.connectors.postgres._libpq import Connection, LostConnection, ServerError, connected
from penstock.connectors.postgres._load_types import column_type
from penstock.connectors.postgres._loadable import LoadableBatches
from penstock.connectors.postgres._table import Existing, Target
from penstock.core.cancel import CancelScope
from penstock.errors import AlreadyExists, ConfigurationError, SinkError
from penstock.flow.contracts import BatchStream, Receipt

if TYPE_CHECKING:
    import pyarrow as pa

    from penstock.connectors.postgres._libpq import CopyIn

__all__ = ["PostgresSink"]

_COMMIT_SECONDS = 10.0
_JOININGS = 5
# What the server's understanding of text depends on; and no notices, of which a trigger may have one for every row.
_SETTINGS = (
    "BEGIN; SET LOCAL standard_conforming_strings TO on; SET LOCAL client_min_messages TO error; "
    "SET LOCAL timezone TO 'UTC'; SET LOCAL datestyle TO 'ISO, YMD'; SET LOCAL intervalstyle TO 'postgres'"
)


@dataclass(frozen=True)
class _Way:
    """How the rows get in: a COPY into ``path``, with statements before and after; ``""`` for none.

    ``targets`` are the columns of a table that was there: there, and only there, values may have to be bent to fit.
    """

    path: str
    before: str = ""
    after: str = ""
    targets: Mapping[str, TargetColumn] = field(default_factory=dict)
    empties: bool = False


@final
class PostgresSink:
    """Loads one table. Use through :func:`penstock.connectors.open_sink`."""

    def __init__(self, request: SinkRequest) -> None:
        if not request.table:
            raise ConfigurationError(f"{request.shown}: say which table to load")
        self.display_name = f"{request.shown} {request.table}"
        self._target = Target(request.table, where=self.display_name)
        self._if_exists = request.if_exists
        self._formats = request.formats
        self._address = parsed_address(request.uri, request.shown)
        self._seam = Seam(self.display_name, SinkError)

    def check(self) -> bool:
        """Look whether the table is there, and whether one may be written; writes nothing.

        Raises:
            AlreadyExists: it is there and ``if_exists`` is ``"fail"``.
            SinkError: no such database or schema, no permission, no connection.
        """
        with self._connected() as connection, self._seam.translating():
            existing = self._target.look(connection)
            if existing is not None and self._if_exists == "skip":
                return False
            self._refuse(existing)
            if existing is not None and self._if_exists == "overwrite":
                self._target.check_references(connection)
            self._target.check_place(connection, to_create=existing is None)
        return True

    @property
    def loading(self) -> str:
        """How rows get in."""
        return "COPY ... FROM STDIN, in one transaction"

    def column_types(self, schema: pa.Schema) -> tuple[str, ...]:
        """Return the types that the columns of a new table would have. Touches nothing.

        Raises:
            ConfigurationError: PostgreSQL has none for one of them.
        """
        return tuple(column_type(field.name, field.type) for field in schema)

    def load(self, batches: BatchStream) -> Receipt:
        """Read ``batches`` to the end, then commit.

        Blocks; a cancel interrupts it, up to the moment the commit is sent, and the server rolls back.

        Raises:
            AlreadyExists: a table of that name appeared meanwhile.
            SinkError: the server refuses a row, a statement, or the connection.
            ConfigurationError: PostgreSQL has no type for a column.
        """
        schema = batches.schema
        if not schema.names:
            raise SinkError("the data has no columns", where=self.display_name)
        with self._connected() as connection:
            way = self._begun(connection, schema)
            loadable = LoadableBatches(batches, targets=way.targets, where=self.display_name)
            rows = sum(self._copy(connection, way.path, portion) for portion in loadable.portions())
            self._run(connection, way.after)
            self._commit(connection)
        details = {"rows": rows, "table": self._target.table}
        return Receipt(location=self.display_name, bytes_stored=loadable.arrow_bytes, details=details)

    # --- what to do ---------------------------------------------------------------------------------------------

    def _refuse(self, existing: Existing | None) -> None:
        if existing is None:
            return
        if self._if_exists in {"fail", "skip"}:
            raise self._already_exists()
        if self._if_exists == "overwrite" and existing.kind in {"view", "foreign table"}:
            hint = "overwrite the table behind it"
            raise SinkError(f"it is a {existing.kind}", where=self.display_name, hint=hint)

    def _already_exists(self) -> AlreadyExists:
        return AlreadyExists(
            "the table is there already", where=self.display_name, hint="choose overwrite, append or skip for if_exists"
        )

    def _begun(self, connection: Connection, schema: pa.Schema) -> _Way:
        """Do what comes before the rows; anew where somebody else made the table just then, and this can still join in."""
        for _ in range(_JOININGS if self._if_exists in {"append", "overwrite"} else 0):
            with suppress(AlreadyExists):
                return self._begun_once(connection, schema)
            with self._seam.translating():
                connection.execute(f"ROLLBACK; {_SETTINGS}")
        return self._begun_once(connection, schema)

    def _begun_once(self, connection: Connection, schema: pa.Schema) -> _Way:
        with self._seam.translating():
            existing = self._target.look(connection)
            if existing is not None and self._if_exists == "overwrite":
                self._target.check_references(connection)
            way = self._way(existing, schema)
        self._run(connection, way.before)
        if way.empties:
            with self._seam.translating():
                self._target.check_emptied(connection)
        return way

    def _way(self, existing: Existing | None, schema: pa.Schema) -> _Way:
        self._refuse(existing)
        for column in schema:
            column_type(column.name, column.type)  # also where none is created: what has no type has no text either
        path = self._target.path
        if existing is None:
            return _Way(path, self._target.create(schema))
        if self._if_exists == "append":
            existing.check_columns(schema, self.display_name)
            return _Way(path, targets=existing.columns)
        if set(existing.columns) == set(schema.names):
            existing.check_columns(schema, self.display_name)
            emptying = f"LOCK TABLE {path} IN EXCLUSIVE MODE; DELETE FROM {path}"  # noqa: S608 - quoted; readers may go on
            return _Way(path, emptying, targets=existing.columns, empties=True)
        successor, creating, replacing = self._target.create_successor(schema)
        return _Way(successor, creating, replacing)

    # --- doing it -----------------------------------------------------------------------------------------------

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        opening = connected(self._address.conninfo, timeout_seconds=self._address.connect_seconds)
        with ExitStack() as stack:
            with self._seam.translating():
                connection = stack.enter_context(opening)
                connection.execute(_SETTINGS)
            yield connection

    def _run(self, connection: Connection, statements: str) -> None:
        if not statements:
            return
        try:
            with self._seam.lost_translated():
                connection.execute(statements)
        except ServerError as exc:
            if is_there_already(exc):
                raise self._already_exists() from exc
            if exc.sqlstate == DUPLICATE_TYPE:  # each table has one of its name; or it is one that has no table
                raise AlreadyExists(str(exc), where=self.display_name) from exc
            raise self._seam.refused(exc) from exc

    def _copy(self, connection: Connection, path: str, portion: BatchStream) -> int:
        columns = ", ".join(map(quoted, portion.schema.names))
        with self._seam.translating():
            copy = connection.copy_in(f"COPY {path} ({columns}) FROM STDIN (FORMAT csv, HEADER)")
        # No seam around this: what the stream raises is not ours.
        self._formats.format_by_name("csv").encode(portion, _Translated(copy, self._seam))
        with self._seam.translating():
            return copy.finish()

    def _commit(self, connection: Connection) -> None:
        """Commit. What may fail or take long is done before; no cancel interrupts the rest, whose outcome must be known."""
        with self._seam.translating():
            connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        try:
            with self._seam.translating(), CancelScope(shield=True, timeout=_COMMIT_SECONDS) as scope:
                connection.execute("COMMIT")
        except SinkError as exc:
            if isinstance(exc.__cause__, LostConnection):
                raise self._unknown("the connection was lost") from exc
            raise
        if scope.cancelled_caught:
            raise self._unknown(f"the server did not answer for {_COMMIT_SECONDS:.0f} s")

    def _unknown(self, what: str) -> SinkError:
        hint = "look whether the rows are there before loading again"
        return SinkError(f"{what} at COMMIT: the table may be loaded or not", where=self.display_name, hint=hint)


class _Translated:
    """What the CSV format writes into: a COPY whose own failures are sink errors."""

    def __init__(self, copy: CopyIn, seam: Seam) -> None:
        self._copy = copy
        self._seam = seam

    def write(self, data: bytes, /) -> int:
        with self._seam.translating():
            return self._copy.write(data)
