"""The connector of DuckDB files, for reading and loading, and of queries over files without a database.

``duckdb:///relative/path.db``, ``duckdb:////absolute/path.db``, or ``duckdb:///:memory:`` for a query that names its own
data: ``SELECT * FROM read_parquet('*.parquet')``. A file to be read is opened read-only, and never created.

Rows never become Python objects, as DuckDB produces Arrow itself. :mod:`penstock.connectors.duckdb._types` has the types;
:mod:`penstock.connectors.duckdb._connection` explains how memory is bounded. DuckDB computes 2,048 rows at a time; if so
many rows do not fit into ``memory_limit`` (an option), that is an error which says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from penstock._extras import need
from penstock.connectors._absent import no_column
from penstock.connectors._batches import Batches
from penstock.connectors._database_files import refuse_special
from penstock.connectors._requests import SinkRequest, SourceRequest
from penstock.connectors._sql import all_columns, select_statement
from penstock.connectors.duckdb._cache import BlockCache
from penstock.connectors.duckdb._connection import (
    OPTIONS,
    Database,
    Settings,
    database_path,
    duckdb_module,
    settings_of,
)
from penstock.connectors.duckdb._load import LOAD_TABLE
from penstock.connectors.duckdb._shared import SharedFile
from penstock.connectors.duckdb._sink import DuckdbSink
from penstock.connectors.duckdb._types import TYPE_TABLE, projection, target_type
from penstock.connectors.duckdb._values import ValueCheck
from penstock.errors import ConfigurationError, SourceError
from penstock.flow.contracts import BatchStream
from penstock.flow.description import ColumnType, Description
from penstock.flow.suggest import did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["LOAD_TABLE", "TAKES_TABLES", "TYPE_TABLE", "DuckdbSource", "sink", "source"]

TAKES_TABLES = True

_VECTOR_ROWS = 2048  # what DuckDB computes at a time; asking for fewer saves it nothing


def source(request: SourceRequest) -> DuckdbSource:
    """Make a source that reads a table or a query."""
    request.refuse("format", "compression", because="a database has rows, not stored bytes")
    request.check_options(OPTIONS)
    return DuckdbSource(request, database_path(request))


def sink(request: SinkRequest) -> DuckdbSink:
    """Make a sink that loads a table."""
    request.refuse_method()
    request.check_options(OPTIONS)
    path = database_path(request)
    if path is None:
        raise ConfigurationError(f"{request.shown}: what is loaded into memory is gone when the copy ends; name a file")
    return DuckdbSink(request, path, request.source.share if isinstance(request.source, DuckdbSource) else None)


@final
class DuckdbSource:
    """Reads one SELECT. Use through :func:`penstock.connectors.open_source`."""

    byte_formats: frozenset[str] = frozenset()

    def __init__(self, request: SourceRequest, path: Path | None) -> None:
        self.display_name = request.shown if request.table is None else f"{request.shown} {request.table}"
        self.rows_read: int | None = None
        self._path = path
        self._request = request
        self._table = request.table
        self._is_narrowed = request.where is not None or request.limit is not None
        self._statement = select_statement(request)
        self._batch_bytes = request.batch_bytes
        self._settings = settings_of(request.options, request.batch_bytes, request.shown)
        self._on_type_loss = request.on_type_loss
        self._losses = request.losses
        self._shared: SharedFile | None = None

    def share(self, path: Path, settings: Settings) -> SharedFile | None:
        """Open the file together with the sink that will load ``path``, if that is the same file; else None.

        Called before anything is opened. A link to the file, or another path there, is the same file.
        """
        if self._path is None or not self._path.exists() or not self._path.samefile(path):
            return None
        self._shared = SharedFile(path, self._settings.or_more(settings))
        return self._shared

    def open_bytes(self, format_name: str) -> AbstractContextManager[Iterator[bytes]]:
        """Refuse: there are rows here and no stored bytes, which is why ``byte_formats`` is empty."""
        raise ConfigurationError(f"{self.display_name}: DuckDB does not hand out {format_name} itself")

    @contextmanager
    def open_batches(self) -> Iterator[BatchStream]:
        """Run the SELECT and give its rows as Arrow batches. Leaving the block stops it and closes the database."""
        with self._opened(self._shared) as database:
            with database.calling() as connection:
                relation = connection.sql(self._projected(self._bound(connection)))
                reader = relation.to_arrow_reader(_VECTOR_ROWS)
            with closing(reader):
                schema = _plain_schema(reader.schema)
                self.rows_read = 0
                yield Batches(schema, self._batches(database, reader, schema))

    def describe(self, format_name: str | None) -> Description:
        """Open the database, ask DuckDB for the columns, and close it. Runs nothing."""
        with self._opened() as database:
            with database.calling() as connection:
                bound = self._bound(connection)
                names, kinds = list(bound.columns), list(bound.types)
                relation = connection.sql(f"SELECT * FROM (\n{self._projected(bound)}\n) LIMIT 0")  # noqa: S608
                schema = _plain_schema(relation.to_arrow_table().schema)
            estimated_rows = self._estimated_rows(database)
        columns = tuple(
            ColumnType(name, str(kind), str(field.type), self._note(kind), field.type)
            for name, kind, field in zip(names, kinds, schema, strict=True)
        )
        memory = self._settings.memory_bytes >> 20
        return Description(
            reading=f"Arrow batches that DuckDB writes, {self._settings.threads} threads, memory_limit {memory} MiB",
            why="rows never become Python objects; more than that goes to a temporary folder that is removed",
            consistency="one query: a snapshot; while it runs, no other process can write",
            columns=columns,
            estimated_rows=estimated_rows,
        )

    # --- reading ------------------------------------------------------------------------------------------------

    @contextmanager
    def _opened(self, shared: SharedFile | None = None) -> Iterator[Database]:
        self._check_file()
        where = self.display_name
        if shared is None:
            opened = Database.opened(self._path, self._settings, read_only=True, where=where, error=SourceError)
        else:
            opened = shared.opened(read_only=True, where=where, error=SourceError)
        with opened as database:
            yield database

    def _check_file(self) -> None:
        if self._path is not None and not self._path.exists():
            names = [entry.name for entry in self._path.parent.glob("*")]
            otherwise = "is the path right? It is relative after three slashes"
            hint = did_you_mean(self._path.name, names, otherwise=otherwise)
            raise SourceError("no such file", where=self.display_name, hint=hint)
        if self._path is not None:
            refuse_special(self._path, self.display_name, SourceError)

    def _bound(self, connection: Any) -> Any:
        """Return the statement as a relation, which knows its columns and has not been run.

        A statement that is no SELECT would be run here at once, and might write, even outside the database.
        """
        kinds = [statement.type.name for statement in connection.extract_statements(self._statement)]
        if kinds != ["SELECT"]:
            found = " and ".join(kinds) or "nothing"
            raise SourceError(f"the query is {found}", where=self.display_name, hint="use one SELECT")
        try:
            return connection.sql(self._statement)
        except duckdb_module().BinderException as exc:
            absent = re.search(r'Referenced column "(.*?)" not found', str(exc), re.DOTALL)
            if absent is None or absent[1] not in (self._request.columns or ()):
                raise
            names = connection.sql(select_statement(all_columns(self._request))).columns
            raise no_column(absent[1], names, self.display_name) from exc

    def _projected(self, bound: Any) -> str:
        text = self._on_type_loss == "text"
        return projection(self._statement, bound.columns, bound.types, text_for_losses=text)

    def _batches(self, database: Database, reader: Any, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        check = ValueCheck(schema, where=self.display_name, on_type_loss=self._on_type_loss, losses=self._losses)
        for batch in self._sized(database, reader, schema):
            checked = check.checked(batch)
            yield checked
            self.rows_read = (self.rows_read or 0) + checked.num_rows
            del batch, checked  # or it would be kept alive while the next one is read

    def _sized(self, database: Database, reader: Any, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """Join DuckDB's batches to larger ones, or cut them where they are too large."""
        arrow = need("pyarrow", extra="arrow", why="hold tables")
        waiting: list[pa.RecordBatch] = []
        size = 0
        # A limit that is low for a moment could fail the load that shares it.
        is_alone = self._table is not None and self._shared is None
        cache = BlockCache(database, self._settings) if is_alone else None
        while (batch := _next(database, reader)) is not None:
            named = arrow.RecordBatch.from_arrays(batch.columns, schema=schema)
            if cache is not None:
                cache.has_read(named.nbytes)
            if size + named.nbytes > self._batch_bytes and waiting:
                yield arrow.concat_batches(waiting)
                waiting, size = [], 0
            if named.nbytes > self._batch_bytes:
                yield from _cut(named, self._batch_bytes)
                continue
            waiting.append(named)
            size += named.nbytes
        if waiting:
            yield arrow.concat_batches(waiting)

    # --- describing ---------------------------------------------------------------------------------------------

    def _note(self, kind: Any) -> str:
        text = self._on_type_loss == "text"
        target = target_type(kind, text_for_losses=text)
        return "as DuckDB writes it" if target == "VARCHAR" and kind.id != "varchar" else ""

    def _estimated_rows(self, database: Database) -> int | None:
        if self._table is None or self._is_narrowed:
            return None
        schema, _, name = self._table.rpartition(".")
        found = database.rows(
            "SELECT estimated_size FROM duckdb_tables() WHERE table_name = ? "
            "AND schema_name = coalesce(nullif(?, ''), current_schema())",
            [name, schema],
        )
        return int(found[0][0]) if found else None


def _next(database: Database, reader: Any) -> pa.RecordBatch | None:
    arrow = need("pyarrow", extra="arrow", why="hold tables")
    with database.calling():
        try:
            batch: pa.RecordBatch = reader.read_next_batch()
        except StopIteration:
            return None
        except (OSError, arrow.ArrowException) as exc:  # what DuckDB said, as Arrow passed it on
            raise database.failed(exc) from exc
    return batch


def _cut(batch: pa.RecordBatch, most_bytes: int) -> Iterator[pa.RecordBatch]:
    """Halve the batch until its pieces are small enough, or one row."""
    if batch.nbytes <= most_bytes or batch.num_rows <= 1:
        yield batch
        return
    half = batch.num_rows // 2
    yield from _cut(batch.slice(0, half), most_bytes)
    yield from _cut(batch.slice(half), most_bytes)


def _plain_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema without DuckDB's own marks on columns, which other tools do not know."""
    arrow = need("pyarrow", extra="arrow", why="hold tables")
    plain: pa.Schema = arrow.schema([arrow.field(field.name, field.type) for field in schema])
    return plain
