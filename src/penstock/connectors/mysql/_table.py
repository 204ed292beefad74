"""Look up an existing table that is to be loaded: its columns, and whether it can be appended to or replaced."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from penstock.connectors.mysql._connection import Connection
from penstock.connectors.mysql._sql import literal
from penstock.flow.suggest import did_you_mean

__all__ = ["ExistingTable", "TargetColumn", "existing_table"]

_VALUE = re.compile(r"'((?:[^']|'')*)'")
_GEOMETRIES = frozenset(
    {
        "geometry",
        "point",
        "linestring",
        "polygon",
        "multipoint",
        "multilinestring",
        "multipolygon",
        "geometrycollection",
    }
)


@dataclass(frozen=True)
class TargetColumn:
    """A column of an existing table.

    Attributes:
        type: the type without its size: ``"bit"``, ``"int"``; ``"geometry"`` for all geometry types.
        is_unsigned: whether it holds no numbers below zero.
        fraction_digits: how many digits follow the seconds of a time.
        is_auto_increment: whether the server fills in numbers for rows without one.
        scale: the digits after the point that numbers are rounded to; None if nothing is rounded silently.
        length: the bytes that a BINARY always has; None for other types.
        values: the values of an ENUM or SET.
    """

    type: str
    is_unsigned: bool
    fraction_digits: int
    is_auto_increment: bool
    scale: int | None = None
    length: int | None = None
    values: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ExistingTable:
    """An existing table.

    Attributes:
        why_not_append: why rows cannot be appended in a way that can be undone; ``""`` if they can.
        why_not_replace: why another table cannot take its place; ``""`` if one can.
        columns: its columns, by name in lower case.
        needed: the names of the columns that must be given a value.
        generated: the names of the columns that cannot be given one.
    """

    why_not_append: str
    why_not_replace: str
    columns: Mapping[str, TargetColumn]
    needed: tuple[str, ...]
    generated: frozenset[str]

    def mismatch(self, names: Sequence[str]) -> str:
        """Return why columns of these names cannot be appended; ``""`` when they can. Case does not count."""
        given = {name.lower() for name in names}
        for name in names:
            if name.lower() not in self.columns:
                return f"the table has no column {name!r}: {did_you_mean(name, self.columns, otherwise=self._names())}"
            if name.lower() in self.generated:
                return f"the table generates its column {name!r} itself"
        missing = [name for name in self.needed if name.lower() not in given]
        return f"the table wants a value for its column {missing[0]!r}, and there is none" if missing else ""

    def _names(self) -> str:
        return f"it has {', '.join(self.columns)}"


def existing_table(connection: Connection, table: str) -> ExistingTable | None:
    """Look up ``table``, whose name may have a database in front; None if it does not exist."""
    schema, _, name = table.rpartition(".")
    where = f"table_schema = {literal(schema) if schema else 'database()'} AND table_name = {literal(name)}"
    found = connection.query(
        "SELECT table_type, t.engine, coalesce(e.transactions, '') FROM information_schema.tables t "  # noqa: S608 - literals
        f"LEFT JOIN information_schema.engines e ON e.engine = t.engine WHERE {where}"
    )
    if not found:
        return None
    ((kind, engine, transactions),) = found
    not_a_table = "" if "BASE TABLE" in str(kind) else f"it is a {str(kind).lower()}, not a table"
    unsafe = "" if transactions == "YES" else f"its engine {engine} has no transactions: rows could not be taken back"
    columns = connection.query(
        "SELECT column_name, data_type, column_type, datetime_precision, numeric_scale, character_octet_length, is_nullable, column_default, extra FROM information_schema.columns "  # noqa: S608
        f"WHERE {where} ORDER BY ordinal_position"
    )
    return ExistingTable(
        why_not_append=not_a_table or unsafe,
        why_not_replace=not_a_table or _referred_to(connection, where),
        columns={
            str(name).lower(): _column(kind, whole, precision, scale, length, extra)
            for name, kind, whole, precision, scale, length, _nullable, _default, extra in columns
        },
        needed=tuple(
            str(name)
            for name, *_types, nullable, default, extra in columns
            if nullable == "NO" and default is None and not extra
        ),
        generated=frozenset(str(name).lower() for name, *_, extra in columns if "GENERATED" in str(extra).upper()),
    )


def _column(
    kind: str | None, whole: str | None, precision: str | None, scale: str | None, length: str | None, extra: str | None
) -> TargetColumn:
    name = str(kind).lower()
    return TargetColumn(
        type="geometry" if name in _GEOMETRIES else name,
        is_unsigned="unsigned" in str(whole),
        fraction_digits=int(precision or 0),
        is_auto_increment="auto_increment" in str(extra),
        scale=int(scale) if scale is not None and name in {"float", "double"} else None,
        length=int(length) if length is not None and name == "binary" else None,
        values=frozenset(_VALUE.findall(str(whole)) if name in {"enum", "set"} else ()),
    )


def _referred_to(connection: Connection, where: str) -> str:
    """Return the tables whose foreign keys refer to the table: after a rename they would refer to the old table."""
    referenced = where.replace("table_schema", "unique_constraint_schema").replace(
        "table_name", "referenced_table_name"
    )
    found = connection.query(
        f"SELECT table_name FROM information_schema.referential_constraints WHERE {referenced} "  # noqa: S608 - literals
        "AND NOT (constraint_schema = unique_constraint_schema AND table_name = referenced_table_name) LIMIT 1"
    )
    return f"foreign keys of {found[0][0]!r} refer to it, so it can not be replaced" if found else ""
