"""The order that the rows of a table are in, to be read in pages: by row number, or by the primary key of one without."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from penstock.connectors._sql import quoted, quoted_path
from penstock.connectors.sqlite._database import Database, quoted_column

__all__ = ["Order", "Position", "Stretch", "order_of"]

_ROW_NUMBERS = ("rowid", "_rowid_", "oid")

# Text may be no UTF-8, so it comes and goes as bytes. A cast compares as text what a column without a type has; unary
# plus takes that away.
_OUT = "typeof({0}) = 'text', CASE typeof({0}) WHEN 'text' THEN CAST({0} AS BLOB) ELSE {0} END"
_VALUE, _TEXT = "?", "+CAST(? AS TEXT)"


@dataclass(frozen=True)
class Position:
    """Where a row stands in the order: the values of its key, exactly.

    Attributes:
        sql: stands for them in a statement.
        values: its parameters.
    """

    sql: str
    values: tuple[object, ...]


@dataclass(frozen=True)
class Stretch:
    """Rows that follow one another.

    Attributes:
        after: the row before the first; None where nothing is before.
        last: of the rows; None where nothing comes after.
    """

    after: Position | None = None
    last: Position | None = None

    @property
    def parameters(self) -> tuple[object, ...]:
        """What the condition of :meth:`Order.within` takes."""
        return tuple(value for position in (self.after, self.last) if position is not None for value in position.values)


@dataclass(frozen=True)
class Order:
    """The order of a table: that of its tree, in which SQLite finds any row at once.

    Attributes:
        called: what it is by, in words.
    """

    _key: tuple[str, ...]
    called: str
    _collation: str = ""
    _is_descending: bool = False

    @property
    def position(self) -> str:
        """What to select of a row for its position."""
        return ", ".join(map(_OUT.format, self._key))

    @property
    def forwards(self) -> str:
        """What to order by."""
        return self._by(is_descending=self._is_descending)

    @property
    def backwards(self) -> str:
        """What to order by, to have the last row first."""
        return self._by(is_descending=not self._is_descending)

    def position_of(self, row: Sequence[object]) -> Position:
        """Return the position that was selected."""
        sql = ", ".join(_TEXT if is_text else _VALUE for is_text in row[::2])
        return Position(sql, tuple(row[1::2]))

    def within(self, stretch: Stretch) -> str:
        """Return the condition for the rows of a stretch."""
        later = "<" if self._is_descending else ">"
        no_later = ">=" if self._is_descending else "<="
        bounds = [
            self._compared(sign, position)
            for sign, position in ((later, stretch.after), (no_later, stretch.last))
            if position is not None
        ]
        return " AND ".join(bounds) or "1"

    def before(self, position: Position) -> str:
        """Return the condition for all rows before one."""
        return self._compared(">" if self._is_descending else "<", position)

    @property
    def _terms(self) -> list[str]:
        return [column + self._collation for column in self._key]

    def _by(self, *, is_descending: bool) -> str:
        return ", ".join(f"{term} DESC" if is_descending else term for term in self._terms)

    def _compared(self, sign: str, position: Position) -> str:
        return f"({', '.join(self._terms)}) {sign} ({position.sql})"


def order_of(database: Database, table: str, columns: Collection[str]) -> Order | str:
    """Return the order of a table; or why there is none to read it by, in words.

    Args:
        database: open.
        table: a table itself, which may have a schema in front.
        columns: the names of all of its columns, in small letters.
    """
    number = next((word for word in _ROW_NUMBERS if word not in columns), None)
    if number is None:
        return "its columns have taken every name of the row number"
    if database.attempt(f"EXPLAIN SELECT {number} FROM {quoted_path(table)}") is not None:  # noqa: S608 - it is quoted
        return Order((number,), "row numbers")
    return _order_by_key(database, table)


def _order_by_key(database: Database, table: str) -> Order | str:
    """Return the order of a table WITHOUT ROWID."""
    schema, _, name = table.rpartition(".")
    pragma = f"PRAGMA {quoted(schema or 'main')}"
    with database.calling():
        indexes = database.connection.execute(f"{pragma}.index_list({quoted(name)})").fetchall()
        own = next((index for _number, index, _unique, origin, *_rest in indexes if origin == "pk"), "")
        terms = database.connection.execute(f"{pragma}.index_xinfo({quoted(own)})").fetchall()
    key = [tuple(term) for _rank, _number, *term, is_key in terms if is_key]
    names = [name for name, _is_descending, _collation in key]
    directions = {bool(is_descending) for _name, is_descending, _collation in key}
    if len(directions) > 1:
        return "its primary key has columns in ascending and in descending order"
    collations = [""]
    if len(key) == 1:  # beside one of several, SQLite would no longer seek rows by all of them at once
        collations.append(f" COLLATE {quoted(key[0][2])}")
    for collation in collations if key else ():
        order = Order(tuple(map(quoted_column, names)), "a primary key", collation, directions == {True})
        if _is_sought(database, table, order, names):
            return order
    return "SQLite does not seek its rows by all of its primary key, which may have a collation of its own"


def _is_sought(database: Database, table: str, order: Order, names: list[str]) -> bool:
    """Whether SQLite goes at once to a stretch, and through it in order: by all of the key, without sorting."""
    somewhere = Position(", ".join(_TEXT for _name in names), (b"",) * len(names))
    stretch = Stretch(somewhere, somewhere)
    rows = f"SELECT 1 FROM {quoted_path(table)} NOT INDEXED WHERE {order.within(stretch)} ORDER BY {order.forwards}"  # noqa: S608
    with database.calling():
        steps = database.connection.execute(f"EXPLAIN QUERY PLAN {rows}", stretch.parameters).fetchall()
    left, right = ",".join(names), ",".join("?" for _name in names)
    term = "{0}{2}{1}" if len(names) == 1 else "({0}){2}({1})"
    sought = f" USING PRIMARY KEY ({term.format(left, right, '>')} AND {term.format(left, right, '<')})"
    return len(steps) == 1 and str(steps[0][-1]).endswith(sought)
