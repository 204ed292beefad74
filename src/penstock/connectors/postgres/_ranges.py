"""Into which ranges a table is divided, and what of PostgreSQL can not be divided so that every row is read once.

A row is in exactly one range, wherever the bounds are, as long as they are in order: the first range has no lower bound
and takes NULL, the last has no upper one, and each begins where the one before ends. So the bounds need only be about
right, and what is added to the table while they are looked up is in the last range, or not in the snapshot.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from penstock.connectors._ranges import Range, ranges_between
from penstock.connectors._requests import SourceRequest
from penstock.connectors._sql import literal, quoted, quoted_path, select_statement
from penstock.connectors.postgres._results import rows
from penstock.errors import ConfigurationError, SourceError
from penstock.flow.suggest import did_you_mean

if TYPE_CHECKING:
    from penstock.connectors.postgres._libpq import Connection

__all__ = ["check_divisible", "divided"]

_BY = "name a column with partition_by (--partition-by)"
_OLDEST_VERSION = 140000  # an older server reads the whole table for each range of it
_WITH_BLOCKS = frozenset("rm")  # tables, materialized views
_TREE = """
WITH RECURSIVE tree (oid) AS (
    SELECT pg_catalog.to_regclass({name})::pg_catalog.oid
    UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN tree ON i.inhparent = tree.oid
)
SELECT c.relkind, coalesce(a.amname, ''),
       coalesce(pg_catalog.pg_relation_size(c.oid), 0) / pg_catalog.current_setting('block_size')::bigint,
       pg_catalog.current_setting('server_version_num')
FROM tree JOIN pg_catalog.pg_class c ON c.oid = tree.oid LEFT JOIN pg_catalog.pg_am a ON a.oid = c.relam
"""
# By node of the server's plan: why reading it twice, in the same snapshot, may give other rows.
_NOT_REPEATABLE = {
    "Limit": "it has a LIMIT, and which rows that leaves may differ each time it is run",
    "Sample Scan": "it takes a sample, which may differ each time it is run",
    "Foreign Scan": "it reads a foreign table, whose server knows nothing of this snapshot",
}
# By OID of the type: where the k-th of n ranges begins, from the least value lo and the largest hi.
_NUMBER = "pg_catalog.floor(lo + (hi::numeric - lo + 1) * k / {most})::bigint"
_DATE = "lo + pg_catalog.floor((hi - lo + 1)::numeric * k / {most})::int"
_INSTANT = "lo + (hi - lo) * (k::float8 / {most})"
_BOUNDS = {20: _NUMBER, 21: _NUMBER, 23: _NUMBER, 1082: _DATE, 1114: _INSTANT, 1184: _INSTANT}
_WITH_INFINITY = frozenset({1082, 1114, 1184})


def check_divisible(request: SourceRequest, by: str | None) -> None:
    """Refuse what can not be divided, as far as that can be told without looking.

    Raises:
        ConfigurationError: it can not.
    """
    if request.limit is not None:
        raise ConfigurationError(f"{request.shown}: limit can not be used with partitions: say with where which rows")
    if request.query is not None and by is None:
        raise ConfigurationError(
            f"{request.shown}: the rows of a query have no order on the disk to divide them by: {_BY}, one of the query's"
        )


def divided(
    connection: Connection, request: SourceRequest, most: int, by: str | None, names: Sequence[str]
) -> list[Range]:
    """Look up how to divide what was asked for into at most ``most`` ranges.

    Whatever will be read is locked then until the transaction ends, against being rewritten or emptied.

    Args:
        connection: in a transaction.
        request: what was asked for.
        most: how many ranges at most.
        by: column to divide by; None for the place on the disk.
        names: of the columns asked for.

    Raises:
        ConfigurationError: it can not be divided.
        ServerError: the server refused to tell.
    """
    _check_repeatable(connection, request)
    if by is not None:
        return list(
            ranges_between(quoted(by), by, _column_bounds(connection, request, most, by, names), takes_null=True)
        )
    bounds = [
        (literal(f"({block},0)") + "::tid", f"({block},0)")
        for block in _block_bounds(_blocks(connection, request), most)
    ]
    return list(ranges_between("ctid", "ctid", bounds, takes_null=False))


def _check_repeatable(connection: Connection, request: SourceRequest) -> None:
    lines = rows(connection, f"EXPLAIN (FORMAT JSON)\n{select_statement(request)}")
    for node in _nodes(json.loads("".join(line for (line,) in lines))[0]["Plan"]):
        if node in _NOT_REPEATABLE:
            raise ConfigurationError(f"{_where(request)}: it can not be read in partitions: {_NOT_REPEATABLE[node]}")


def _where(request: SourceRequest) -> str:
    return request.shown if request.table is None else f"{request.shown} {request.table}"


def _nodes(plan: dict[str, Any]) -> Iterator[str]:
    """Yield the types of all nodes of a plan, but for Limits in what is computed once: so is max() of an index."""
    yield plan["Node Type"]
    for inner in plan.get("Plans", ()):
        is_once = inner.get("Parent Relationship") == "InitPlan"
        yield from (node for node in _nodes(inner) if not (is_once and node == "Limit"))


# --- by the place on the disk -------------------------------------------------------------------------------------------


def _blocks(connection: Connection, request: SourceRequest) -> list[int]:
    """Return how many blocks the table has, and each of those that inherit from it."""
    assert request.table is not None
    found = rows(connection, _TREE.format(name=literal(quoted_path(request.table))))
    for kind, storage, _blocks, version in found:
        _check_kind(request, kind, storage, int(version))
    return [int(blocks) for kind, _storage, blocks, _version in found if kind in _WITH_BLOCKS]


def _check_kind(request: SourceRequest, kind: str, storage: str, version: int) -> None:
    why = "a view has no order of its own on the disk" if kind == "v" else ""
    if kind in _WITH_BLOCKS and storage != "heap":
        why = f"a table stored by {storage!r} has no order on the disk that is known"
    elif kind in _WITH_BLOCKS and version < _OLDEST_VERSION:
        why = "a server before PostgreSQL 14 would read the whole table for each range"
    if why:
        raise ConfigurationError(f"{_where(request)}: it can not be read in partitions as it is: {why}; {_BY}")


def _block_bounds(blocks: Sequence[int], most: int) -> list[int]:
    """Return the blocks where all ranges but the first begin: each range has about the same number, of all tables."""
    total, bounds = sum(blocks), [0]
    for number in range(1, most):
        wanted = total * number // most
        bound = bisect_left(
            range(max(blocks, default=0)), wanted, key=lambda until: sum(min(each, until) for each in blocks)
        )
        if bound > bounds[-1]:
            bounds.append(bound)
    return bounds[1:]


# --- by the values of a column ------------------------------------------------------------------------------------------


def _column_bounds(
    connection: Connection, request: SourceRequest, most: int, by: str, names: Sequence[str]
) -> list[tuple[str, str]]:
    """Return the values where all ranges but the first begin, as SQL and for people."""
    values = select_statement(replace(request, columns=[by]))
    oid, type_name = _type_of(connection, request, values, by, names)
    if oid not in _BOUNDS:
        message = f"partition_by takes a column of integers, dates or timestamps, and {by!r} is {type_name}"
        raise ConfigurationError(f"{_where(request)}: {message}")
    finite = " WHERE pg_catalog.isfinite(value)" if oid in _WITH_INFINITY else ""
    bounds = rows(
        connection,
        "SELECT bound::text FROM (SELECT DISTINCT "  # noqa: S608 - numbers, and the query is the user's own
        f"{_BOUNDS[oid].format(most=most)} AS bound, lo FROM "
        f"(SELECT min(value) AS lo, max(value) AS hi FROM (\n{values}\n) AS query(value){finite}) AS ends, "
        f"pg_catalog.generate_series(1, {most - 1}) AS k) AS bounds WHERE bound > lo ORDER BY bounds.bound",
    )
    return [(f"{literal(text)}::{type_name}", text) for (text,) in bounds]


def _type_of(
    connection: Connection, request: SourceRequest, values: str, by: str, names: Sequence[str]
) -> tuple[int, str]:
    if by not in names and request.columns is None:
        hint = did_you_mean(by, names, otherwise=f"there are {', '.join(names)}")
        raise SourceError(f"no column {by!r} to divide by", where=_where(request), hint=hint)
    oid = connection.describe(values).ftype(0)
    ((type_name,),) = rows(connection, f"SELECT pg_catalog.format_type({oid}, -1)")
    return oid, type_name
