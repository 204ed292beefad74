"""Decide whether a table can be read in pages, and build the statements for its pages. Reads no rows."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from penstock.connectors._requests import SourceRequest
from penstock.connectors._sql import quoted, quoted_path, select_statement
from penstock.connectors.sqlite._database import Database, quoted_column
from penstock.connectors.sqlite._order import Order, Position, Stretch, order_of
from penstock.connectors.sqlite._packing import PROBE, PROBED

__all__ = ["TableColumn", "TableInPages", "in_pages", "unpackable", "rows_of"]

_COMPUTED = 2  # SQLite's number for a generated column that is not stored; one that is has 3
_WORDS_BEFORE_BRACKETS = frozenset(("and", "or", "not", "in", "between", "like", "glob", "is", "then", "when", "else"))
_FUNCTIONS_OF_ARGUMENTS = frozenset(
    ("abs", "coalesce", "ifnull", "instr", "length", "lower", "nullif", "round", "substr", "trim", "typeof", "upper")
)


@dataclass(frozen=True)
class TableColumn:
    """A column to read.

    Attributes:
        name: as the batches have it.
        sql: the column, quoted.
        declared: its declaration; ``""`` for none.
        is_computed: whether it is a generated column that is not stored.
        has_negative_zero: whether it may hold -0.0, which SQLite stores as 0 in a column of numbers.
    """

    name: str
    sql: str
    declared: str
    is_computed: bool
    has_negative_zero: bool


@dataclass(frozen=True)
class TableInPages:
    """A table with an order, and what of it is wanted.

    Its statements have the parameters of the stretch or position that they are about, and no others: a condition with one
    of its own is nothing that SQLite plans without a value for it, so it did not come here.

    Attributes:
        order: of the rows.
        columns: to read, in order.
        limit: at most so many rows; None for all.
        is_range: whether the condition bounds the order, so that the first and last row wanted are found at once.
    """

    _table: str
    _where: str | None
    order: Order
    columns: tuple[TableColumn, ...]
    limit: int | None
    is_range: bool

    @property
    def is_narrowed(self) -> bool:
        """Whether not every row of a page is wanted."""
        return self._where is not None

    def page(self, selected: str, stretch: Stretch) -> str:
        """Return the SELECT of a page."""
        # As an operand of unary plus the condition tempts SQLite to no other way through the table than by page.
        where = "" if self._where is None else f" AND +(\n{self._where}\n)"
        return f"SELECT {selected} FROM {self._table} NOT INDEXED WHERE {self.order.within(stretch)}{where}"  # noqa: S608 - names are quoted

    def rows(self, stretch: Stretch, limit: int) -> str:
        """Return the SELECT of a page's rows, at most so many; -1 for all."""
        # By their names in messages, too.
        columns = ", ".join(f"{column.sql} AS {quoted(column.name)}" for column in self.columns)
        return f"{self.page(columns, stretch)} LIMIT {limit:d}"

    def end(self, stretch: Stretch, rows: int) -> str:
        """Return the SELECT of the position at which a page of so many rows ends."""
        return (
            f"SELECT {self.order.position} FROM {self._table} NOT INDEXED "  # noqa: S608 - as above
            f"WHERE {self.order.within(stretch)} ORDER BY {self.order.forwards} LIMIT 1 OFFSET {rows - 1:d}"
        )

    def before(self, position: Position) -> str:
        """Return the SELECT of the position before."""
        return (
            f"SELECT {self.order.position} FROM {self._table} NOT INDEXED "  # noqa: S608 - as above
            f"WHERE {self.order.before(position)} ORDER BY {self.order.backwards} LIMIT 1"
        )

    @property
    def bounds(self) -> tuple[str, str]:
        """Return the SELECTs of the positions of the first and last row wanted."""
        wanted = f"SELECT {self.order.position} FROM {self._table} WHERE (\n{self._where}\n)"  # noqa: S608 - as above
        return f"{wanted} ORDER BY {self.order.forwards} LIMIT 1", f"{wanted} ORDER BY {self.order.backwards} LIMIT 1"


def rows_of(table: str, names: Sequence[str], columns: Sequence[str], declared: Sequence[str]) -> TableInPages:
    """Return a whole table of any values.

    Args:
        table: its name, quoted.
        names: of the columns, as the batches have them.
        columns: the columns, quoted.
        declared: what they were declared as, where their values come from.
    """
    about = zip(names, columns, declared, strict=True)
    return TableInPages(
        table,
        None,
        Order(("rowid",), "row numbers"),
        tuple(TableColumn(name, sql, of, is_computed=False, has_negative_zero=True) for name, sql, of in about),
        None,
        is_range=False,
    )


def in_pages(database: Database, request: SourceRequest) -> TableInPages | str:
    """Return what to read in pages; or why the rows are to be read one by one, in words.

    Args:
        database: open.
        request: what of it is wanted.
    """
    if request.table is None:
        return "a query has no row numbers to page by"
    if request.where is not None and _may_change(request.where):
        return "the condition calls functions, which may say something else on every page"
    if not _is_table(database, request.table):
        return "only a table itself has row numbers, or a key, to page by"
    if (request.where is not None or request.columns is not None) and _walk(database, request) is None:
        return "SQLite finds the rows by an index"
    return _with_columns(database, request)


def unpackable(database: Database) -> str:
    """Return why nothing can be packed, in words; ``""`` if it can."""
    return "" if database.attempt(PROBE) == PROBED else "this SQLite writes another JSON"


def _with_columns(database: Database, request: SourceRequest) -> TableInPages | str:
    assert request.table is not None
    schema, _, name = request.table.rpartition(".")
    with database.calling():
        pragma = f"PRAGMA {quoted(schema or 'main')}.table_xinfo({quoted(name)})"
        about = {row[1].lower(): row for row in database.connection.execute(pragma)}
    order = order_of(database, request.table, about)
    if isinstance(order, str):
        return order
    asked = [quoted_column(name) for name in request.columns or [row[1] for row in about.values()]]
    path = quoted_path(request.table)
    with closing(database.connection.execute(f"SELECT {', '.join(asked)} FROM {path} LIMIT 0")) as cursor:  # noqa: S608
        names = [column[0] for column in cursor.description]
    columns = tuple(_column(name, sql, about.get(name.lower())) for name, sql in zip(names, asked, strict=True))
    is_range = request.where is not None and _walk(database, request) == "range"
    table = TableInPages(path, request.where, order, columns, request.limit, is_range)
    if database.attempt(f"EXPLAIN {table.rows(Stretch(), 0)}") is None:
        return "SQLite does not take the condition in brackets"
    return table


def _column(name: str, sql: str, about: tuple[Any, ...] | None) -> TableColumn:
    if about is None:  # the row number, by one of its names
        return TableColumn(name, sql, "INTEGER", is_computed=False, has_negative_zero=False)
    _number, _name, declared, _notnull, default, _key, hidden = about
    is_computed = hidden == _COMPUTED
    # Stored in a column of numbers -0.0 is 0. Not where anything may be stored, it is computed, or it is the default.
    takes_anything = re.search("BLOB|^ANY$|^$", declared.upper()) is not None
    has_negative_zero = is_computed or takes_anything or "-" in str(default)
    return TableColumn(name, sql, declared, is_computed, has_negative_zero)


def _may_change(where: str) -> bool:
    """Whether a condition may give something else each time: it calls a function, asks another table, or the clock."""
    text = where.lower()
    called = re.findall(r"([\w$]+|[\"`\]])\s*\(", text)
    words = re.search(r"\b(select|current_date|current_time|current_timestamp)\b", text)
    is_known = (_WORDS_BEFORE_BRACKETS | _FUNCTIONS_OF_ARGUMENTS).issuperset(called)
    return words is not None or "--" in text or "/*" in text or not is_known


def _is_table(database: Database, table: str) -> bool:
    """Whether it is stored as a table, and is not a view or virtual."""
    schema, _, name = table.rpartition(".")
    known = f"{quoted(schema or 'main')}.sqlite_master"
    query = f"SELECT 1 FROM {known} WHERE name = ? COLLATE NOCASE AND type = 'table' AND rootpage > 0"  # noqa: S608
    return database.attempt(query, name) is not None


def _walk(database: Database, request: SourceRequest) -> str | None:
    """Return how SQLite, left to itself, goes through the table: a ``"scan"``, a ``"range"`` of it; None if by an index."""
    try:
        cursor = database.connection.execute(f"EXPLAIN QUERY PLAN {select_statement(request, quoted_column)}")
        steps = [row[-1] for row in cursor]
    except sqlite3.Error:
        return None
    assert request.table is not None
    name = re.escape(request.table.rpartition(".")[2])
    walk = rf"(?:(scan)|search)(?: table)? (?:\w+\.)?{name}(?: using (?:integer )?primary key \((.+)\))?"
    found = re.fullmatch(walk, steps[0], re.IGNORECASE) if len(steps) == 1 else None
    if found is None or bool(found[1]) == bool(found[2]):
        return None
    if found[1]:
        return "scan"
    return "range" if _is_range(found[2], request.where or "") else None


def _is_range(terms: str, where: str) -> bool:
    """Whether rows that SQLite finds by these terms of the key, for a condition, follow one another.

    Equal ones do, of a key with further columns, unless they are to be equal to one of several values. SQLite's words for
    that are the same.
    """
    if "=" in terms:
        return not terms.startswith("rowid=") and re.search(r"\b(in|or)\b", where.lower()) is None
    return not terms.startswith("ANY(")
