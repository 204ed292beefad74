"""The table that is loaded: what is there of it, and the statements that make, empty, or replace it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.connectors._sql import literal, quoted, quoted_path
from penstock.connectors.postgres._encode import unwrapping
from penstock.connectors.postgres._fit import TargetColumn
from penstock.connectors.postgres._libpq import Connection
from penstock.connectors.postgres._load_types import column_type, is_array, is_bytes
from penstock.connectors.postgres._results import rows
from penstock.errors import ConfigurationError, SinkError
from penstock.flow.suggest import did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Existing", "Target"]

_LONGEST_NAME_BYTES = 63  # PostgreSQL cuts off the rest, without an error
_LONGEST_PATH = 2
_KINDS = {"r": "table", "p": "partitioned table", "f": "foreign table", "v": "view"}
_OTHER_KINDS = {"m": "a materialized view", "i": "an index", "I": "an index", "S": "a sequence", "c": "a type"}
# Types below domains; of arrays, those of the items. A domain has its own modifier.
_LOOK = """
SELECT c.relkind, a.attname, a.attgenerated <> '', base.typname, base.modifier, base.is_array
FROM pg_catalog.pg_class c
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN LATERAL (
    WITH RECURSIVE step(id, modifier, is_array) AS (
        SELECT a.atttypid, a.atttypmod, false
        UNION ALL
        SELECT CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.typelem END,
               CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE step.modifier END, step.is_array OR t.typtype <> 'd'
        FROM step JOIN pg_catalog.pg_type t ON t.oid = step.id
        WHERE t.typtype = 'd' OR t.typlen = -1 AND t.typelem <> 0 AND t.typcategory = 'A'
    )
    SELECT t.typname, step.modifier, step.is_array
    FROM step JOIN pg_catalog.pg_type t ON t.oid = step.id
    WHERE NOT (t.typtype = 'd' OR t.typlen = -1 AND t.typelem <> 0 AND t.typcategory = 'A')
) AS base ON true
WHERE c.oid = pg_catalog.to_regclass({name})
ORDER BY a.attnum
"""
_REFERENCES = """
SELECT conrelid::pg_catalog.regclass, conname,
       CASE confdeltype WHEN 'c' THEN 'delete its rows' ELSE 'change its rows' END
FROM pg_catalog.pg_constraint
WHERE contype = 'f' AND confrelid = pg_catalog.to_regclass({name}) AND conrelid <> confrelid AND conparentid = 0
  AND confdeltype IN ('c', 'n', 'd')
LIMIT 1
"""
_MAY_KEEP_ROWS = """
SELECT 1 FROM pg_catalog.pg_class
WHERE oid = pg_catalog.to_regclass({name}) AND (relhastriggers OR relhasrules OR relkind = 'p')
"""
_PLACE = """
SELECT schema, schema IS NOT NULL AND pg_catalog.has_schema_privilege(schema, 'CREATE'),
       pg_catalog.current_setting('transaction_read_only') = 'on'
FROM (SELECT {schema} AS schema) AS place
"""


@dataclass(frozen=True)
class Existing:
    """A table that is there.

    Attributes:
        kind: ``"table"``, ``"view"``, ...
        columns: those that can be written, by name.
    """

    kind: str
    columns: Mapping[str, TargetColumn]

    def check_columns(self, schema: pa.Schema, where: str) -> None:
        """Refuse columns that the table has not, or has with a type that would take them for something else.

        Raises:
            SinkError: there is one.
        """
        self._check_names(schema.names, where)
        for field in schema:
            kind, target = _item_type(field.type), self.columns[field.name]
            if str(kind).endswith(("string", "string_view")) and target.type == "bytea":
                message = f"column {field.name!r} is bytea, and the data has text, which may be bytes in any encoding"
                raise SinkError(message, where=where, hint="load it as text, and decode() it there")
            if is_bytes(kind) and target.type != "bytea":
                message = f"column {field.name!r} is not bytea, and the data has bytes"
                raise SinkError(message, where=where, hint="make them text before")

    def _check_names(self, names: Sequence[str], where: str) -> None:
        for name in names:
            if name not in self.columns:
                there_are = f"it has {', '.join(self.columns)}" if self.columns else "it has none"
                hint = did_you_mean(name, self.columns, otherwise=there_are)
                raise SinkError(f"the {self.kind} has no column {name!r}", where=where, hint=hint)


@dataclass(frozen=True)
class Target:
    """A table by its name, which may have a schema in front.

    Attributes:
        table: the name as it was given.
        where: the destination, for messages.
    """

    table: str
    where: str

    def __post_init__(self) -> None:
        parts = self.table.split(".")
        if not all(parts) or len(parts) > _LONGEST_PATH:
            raise ConfigurationError(f"{self.where}: {self.table!r} is no name of a table: write table or schema.table")
        _refuse_impossible_names(parts, self.where)

    @property
    def path(self) -> str:
        """The name in SQL."""
        return quoted_path(self.table)

    def look(self, connection: Connection) -> Existing | None:
        """Return what is there under this name; None when there is nothing.

        Raises:
            SinkError: it is nothing that rows can be written into.
        """
        found = rows(connection, _LOOK.format(name=literal(self.path)))
        if not found:
            return None
        kind = found[0][0] or ""
        if kind not in _KINDS:
            raise SinkError(f"it is {_OTHER_KINDS.get(kind, 'no table')}", where=self.where, hint="name a table")
        columns = {
            name: TargetColumn(type_name, int(modifier), is_array == "t")
            for _kind, name, is_generated, type_name, modifier, is_array in found
            if name is not None and is_generated == "f"
        }
        return Existing(kind=_KINDS[kind], columns=columns)

    def check_references(self, connection: Connection) -> None:
        """Refuse to empty a table where that would not only empty this one.

        Raises:
            SinkError: a foreign key of another table would delete that one's rows (ON DELETE CASCADE), or change them.
        """
        for other, name, what in rows(connection, _REFERENCES.format(name=literal(self.path))):
            message = f"overwriting it would {what} of {other} too, by its foreign key {name!r}"
            raise SinkError(message, where=self.where, hint="append to it, or load another table and merge that")

    def check_emptied(self, connection: Connection) -> None:
        """Refuse to go on with a table that was emptied, and is not empty.

        Raises:
            SinkError: a trigger or rule has kept rows.
        """
        if not rows(connection, _MAY_KEEP_ROWS.format(name=literal(self.path))):
            return  # looking into it is as much work as emptying it was
        if rows(connection, f"SELECT 1 FROM {self.path} LIMIT 1"):  # noqa: S608 - quoted
            hint = "append to it, or empty it in its own way and append then"
            raise SinkError("it can not be emptied: a trigger or rule keeps its rows", where=self.where, hint=hint)

    def check_place(self, connection: Connection, *, to_create: bool) -> None:
        """Refuse a place where nothing can be written, or no table made.

        Raises:
            SinkError: no such schema, no permission, a server that is only read.
        """
        schema, _, _table = self.table.rpartition(".")
        expression = f"pg_catalog.to_regnamespace({literal(quoted(schema))})" if schema else _CURRENT_SCHEMA
        found, may_create, is_read_only = rows(connection, _PLACE.format(schema=expression))[0]
        if is_read_only == "t":
            hint = "the server is a standby, or the database is set to be read only"
            raise SinkError("nothing can be written here", where=self.where, hint=hint)
        if found is None:
            hint = f"CREATE SCHEMA {quoted(schema)}" if schema else "name one: schema.table"
            raise SinkError(f"there is no schema {schema!r}" if schema else "no schema", where=self.where, hint=hint)
        if to_create and may_create != "t":
            hint = f"GRANT CREATE ON SCHEMA {found}"
            raise SinkError(f"this user may not create a table in {found}", where=self.where, hint=hint)

    def create(self, schema: pa.Schema) -> str:
        """Return the statement that creates it for rows of ``schema``.

        Raises:
            ConfigurationError: a column has a type PostgreSQL has none for, or too long a name.
        """
        return _create(self.path, schema, self.where)

    def create_successor(self, schema: pa.Schema) -> tuple[str, str, str]:
        """Return a name in SQL for a table that is to take its place, and statements to create it, and to replace it."""
        name = quoted(f"penstock_{secrets.token_hex(8)}")
        schema_name, _, table = self.table.rpartition(".")
        successor = f"{quoted(schema_name)}.{name}" if schema_name else name
        replacing = f"DROP TABLE {self.path}; ALTER TABLE {successor} RENAME TO {quoted(table)}"
        return successor, _create(successor, schema, self.where), replacing


def _item_type(kind: Any) -> Any:
    """Return the type below extensions, dictionaries and lists; UUIDs stay what they are."""
    if str(kind) == "extension<arrow.uuid>":
        return kind
    if (step := unwrapping(kind)) is not None:
        return _item_type(step[1])
    return _item_type(kind.value_type) if is_array(kind) else kind


_CURRENT_SCHEMA = "pg_catalog.to_regnamespace(pg_catalog.quote_ident(pg_catalog.current_schema()))"


def _create(path: str, schema: pa.Schema, where: str) -> str:
    _refuse_impossible_names(schema.names, where)
    columns = ", ".join(f"{quoted(field.name)} {column_type(field.name, field.type)}" for field in schema)
    return f"CREATE TABLE {path} ({columns})"


def _refuse_impossible_names(names: Sequence[str], where: str) -> None:
    for name in names:
        if not name or "\0" in name or not _is_unicode(name):
            raise ConfigurationError(f"{where}: {name!r} is no name in PostgreSQL")
        if len(name.encode()) > _LONGEST_NAME_BYTES:
            raise ConfigurationError(
                f"{where}: the name {name!r} is longer than the {_LONGEST_NAME_BYTES} bytes that PostgreSQL keeps of one"
            )


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
