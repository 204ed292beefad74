"""Estimate how many rows a SELECT has, as far as the server can tell without running it."""

from __future__ import annotations

from penstock.connectors._requests import SourceRequest
from penstock.connectors.mysql._connection import Connection
from penstock.connectors.mysql._sql import literal

__all__ = ["estimated"]

_COLUMNS_OF_MARIADB = 10


def estimated(connection: Connection, request: SourceRequest, statement: str) -> tuple[int | None, int | None]:
    """Return about how many rows there are, and how many bytes they take at the server; None where nobody knows.

    A whole table is known from the statistics; of a query, the optimizer's guess is taken where it reads one table.
    """
    if request.table is not None and request.where is None:
        rows, size = _of_table(connection, request.table)
    else:
        rows, size = _of_query(connection, statement), None
    if request.limit is not None and rows is not None and rows > request.limit:
        return request.limit, None
    return rows, size


def _of_table(connection: Connection, table: str) -> tuple[int | None, int | None]:
    schema, _, name = table.rpartition(".")
    found = connection.query(
        "SELECT table_rows, data_length FROM information_schema.tables "  # noqa: S608 - as a literal
        f"WHERE table_schema = {literal(schema) if schema else 'database()'} AND table_name = {literal(name)}"
    )
    rows, size = found[0] if found else (None, None)
    return _number(rows), _number(size)


def _of_query(connection: Connection, statement: str) -> int | None:
    table_rows = connection.query(f"EXPLAIN {statement}")
    if len(table_rows) != 1 or len(table_rows[0]) < _COLUMNS_OF_MARIADB:
        return None  # of several tables it would take more than a product; or it is told as a tree
    # MariaDB: id, select_type, table, type, possible_keys, key, key_len, ref, rows, Extra; MySQL has partitions, and
    # the share that a condition lets through, as well.
    values = table_rows[0]
    is_mysql = len(values) > _COLUMNS_OF_MARIADB
    rows = _number(values[9] if is_mysql else values[8])
    share = float(values[10] or 100) / 100 if is_mysql else 1.0
    return None if rows is None else round(rows * share)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None
