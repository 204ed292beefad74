"""Divide a MySQL table into ranges for ``partitions``, and refuse what cannot be divided so that every row is read once.

Wherever the bounds are, every row is in exactly one range as long as they are in order. So they need only be about right,
and are looked up before the common snapshot is taken. They are computed here, from the smallest and the largest value, and
not by the server, whose arithmetic depends on its ``sql_mode``.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from penstock.connectors._ranges import Range, ranges_between
from penstock.connectors._requests import SourceRequest
from penstock.connectors.mysql._connection import Column, Connection
from penstock.connectors.mysql._errors import BAD_FIELD
from penstock.connectors.mysql._sql import literal, quoted, quoted_path, select
from penstock.connectors.mysql._types import WireType, fraction_digits, source_type
from penstock.connectors.mysql._wire import ServerError
from penstock.errors import ConfigurationError, SourceError
from penstock.flow.suggest import did_you_mean

__all__ = ["check_divisible", "divided"]

_BY = "name a column of integers, dates or timestamps with partition_by (--partition-by)"
_ONE = "without partitions it can be read"
_TABLES = frozenset({"BASE TABLE", "SYSTEM VERSIONED"})
_WITH_SNAPSHOTS = "InnoDB"  # others have transactions, too, but do not take part in WITH CONSISTENT SNAPSHOT
_LONGEST_FRACTION = 6


def check_divisible(request: SourceRequest) -> None:
    """Refuse what cannot be divided, as far as that can be told without looking.

    Raises:
        ConfigurationError: it cannot.
    """
    if request.limit is not None:
        raise ConfigurationError(f"{request.shown}: limit can not be used with partitions: say with where which rows")
    if request.query is not None:
        raise ConfigurationError(
            f"{request.shown}: a query of MySQL can not be read in partitions: for one snapshot what it reads would have to "
            f"be locked, and only of a table is that known; name one (-t), or leave partitions out"
        )


def divided(
    connection: Connection, request: SourceRequest, most: int, by: str | None, names: Sequence[str]
) -> list[Range]:
    """Look up how to divide a table into at most ``most`` ranges.

    Args:
        connection: a session in UTC.
        request: what was asked for: a table.
        most: how many ranges at most.
        by: column to divide by; None for the first of the primary key.
        names: of the columns asked for.

    Raises:
        ConfigurationError: it cannot be divided.
        SourceError: there is no such column.
        ServerError: the server refused to tell.
    """
    _check_kind(connection, request)
    name = _first_of_key(connection, request) if by is None else by
    column = _column(connection, request, name, names)
    scale = _scale_of(column)
    if scale is None:
        kind = source_type(column)
        raise ConfigurationError(
            f"{_where(request)}: its primary key begins with {name!r}, which is {kind}: {_BY}"
            if by is None
            else f"{_where(request)}: partition_by takes a column of integers, dates or timestamps, and {by!r} is {kind}"
        )
    bounds = [(scale.literal(bound), scale.text(bound)) for bound in _bounds(connection, request, name, scale, most)]
    return list(ranges_between(quoted(name), name, bounds, takes_null=True))


def _where(request: SourceRequest) -> str:
    return f"{request.shown} {request.table}"


def _is_named(request: SourceRequest) -> str:
    """Return the condition that a row of ``information_schema`` is about the table."""
    schema, _, name = str(request.table).rpartition(".")
    return f"table_schema = {literal(schema) if schema else 'database()'} AND table_name = {literal(name)}"


def _check_kind(connection: Connection, request: SourceRequest) -> None:
    found = connection.query(f"SELECT table_type, engine FROM information_schema.tables WHERE {_is_named(request)}")  # noqa: S608 - literals
    for kind, engine in found or [(None, None)]:
        why = ""
        if kind not in _TABLES:
            why = f"it is {f'a {kind.lower()}' if kind else 'not known as a table'}, and no lock covers what that reads"
        elif engine != _WITH_SNAPSHOTS:
            why = f"its engine {engine} has no snapshots, which connections could share; {_WITH_SNAPSHOTS} has"
        if why:
            raise ConfigurationError(f"{_where(request)}: it can not be read in partitions: {why}; {_ONE}")


def _first_of_key(connection: Connection, request: SourceRequest) -> str:
    found = connection.query(
        "SELECT column_name FROM information_schema.statistics "  # noqa: S608 - literals
        f"WHERE {_is_named(request)} AND index_name = 'PRIMARY' AND seq_in_index = 1"
    )
    if not found:
        raise ConfigurationError(f"{_where(request)}: it has no primary key to divide it by: {_BY}")
    return str(found[0][0])


def _column(connection: Connection, request: SourceRequest, name: str, names: Sequence[str]) -> Column:
    try:
        prepared = connection.prepare(select(replace(request, columns=[name], where=None)))
    except ServerError as exc:
        if exc.code != BAD_FIELD:
            raise
        hint = did_you_mean(name, names, otherwise=f"there are {', '.join(names)}")
        raise SourceError(f"no column {name!r} to divide by", where=_where(request), hint=hint) from exc
    return prepared.columns[0]


def _bounds(connection: Connection, request: SourceRequest, name: str, scale: _Scale, most: int) -> list[int]:
    """Return the numbers where all ranges but the first begin, in even steps from the least value to the largest."""
    column = quoted(name)
    conditions = [f"(\n{each}\n)" for each in (request.where, scale.least and f"{column} >= {scale.least}") if each]
    ends = f"SELECT min({column}), max({column}) FROM {quoted_path(str(request.table))}"  # noqa: S608 - quoted
    ((least, largest),) = connection.query(ends + (f" WHERE {' AND '.join(conditions)}" if conditions else ""))
    if least is None or largest is None:
        return []
    low, high = scale.number(least), scale.number(largest)
    bounds = {low + (high - low + 1) * number // most for number in range(1, most)}
    return sorted(bound for bound in bounds if bound > low)


# --- values as numbers --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Scale:
    """How the values of a column are counted.

    Attributes:
        least: the least value that counts, as SQL; ``""`` for any. Dates that do not exist are below it, as NULL is.
        mark: what stands before a value's text to make a literal of it that no setting changes; ``""`` for digits.
        number: the number of a value, as the server writes it.
        text: the other way round.
    """

    least: str
    mark: str
    number: Callable[[str], int]
    text: Callable[[int], str]

    def literal(self, number: int) -> str:
        """Return the value as SQL."""
        return f"{self.mark}'{self.text(number)}'" if self.mark else self.text(number)


_INTEGERS = frozenset({WireType.TINY, WireType.SHORT, WireType.INT24, WireType.LONG, WireType.LONGLONG})
_OF_INTEGERS = _Scale("", "", int, str)


def _scale_of(column: Column) -> _Scale | None:
    """Return how a column's values are counted; None for one that is no integer, date or timestamp."""
    if column.type in _INTEGERS:
        return _OF_INTEGERS
    if column.type in (WireType.DATE, WireType.NEWDATE):
        return _Scale(
            "DATE'0001-01-01'",
            "DATE",
            lambda text: _day(text).toordinal(),
            lambda number: date.fromordinal(number).isoformat(),
        )
    if column.type in (WireType.DATETIME, WireType.TIMESTAMP):
        first = "1970-01-01 00:00:01" if column.type == WireType.TIMESTAMP else "0001-01-01 00:00:00"
        return _of_instants(f"TIMESTAMP'{first}'", fraction_digits(column))
    return None


def _of_instants(least: str, digits: int) -> _Scale:
    """Count in what the last digit of the column stands for: a bound between two of its values could be rounded."""
    unit = timedelta(microseconds=10 ** (_LONGEST_FRACTION - digits))

    def number(text: str) -> int:
        day, _, time = text.partition(" ")
        since = datetime.fromisoformat(f"{_day(day).isoformat()} {time}") - datetime.min  # noqa: DTZ901 - as MySQL's
        return since // unit

    def text(number: int) -> str:
        at = (datetime.min + number * unit).isoformat(" ", "microseconds")  # noqa: DTZ901 - DATETIME has no zone
        return at[: len(at) - _LONGEST_FRACTION + digits].removesuffix(".")

    return _Scale(least, "TIMESTAMP", number, text)


def _day(text: str) -> date:
    """Return the day; for one that does not exist, such as 2024-02-31, or 2024-00-00, another one near by."""
    year, month, day = (max(1, int(part)) for part in text.split("-"))
    return date(year, month, min(day, monthrange(year, month)[1]))
