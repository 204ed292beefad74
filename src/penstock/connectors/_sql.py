"""Build the SELECT statement that a database source runs. Pure text; nothing is executed here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from penstock.connectors._requests import SourceRequest
from penstock.errors import ConfigurationError

__all__ = ["all_columns", "bare", "literal", "quoted", "quoted_path", "select_statement"]


def quoted(name: str) -> str:
    """Return an SQL identifier, whatever characters are in ``name``."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return an SQL string, whatever characters are in ``text``."""
    return "'" + text.replace("'", "''") + "'"


def quoted_path(table: str) -> str:
    """Return ``"schema"."table"`` for ``schema.table``.

    A table whose own name has a dot, or anything else unusual, is read with a query.
    """
    return ".".join(map(quoted, table.split(".")))


def bare(query: str) -> str:
    """Return ``query`` without the semicolon people end it with."""
    return query.strip().rstrip(";").rstrip()


def select_statement(
    request: SourceRequest,
    quote_column: Callable[[str], str] = quoted,
    quote_table: Callable[[str], str] = quoted_path,
) -> str:
    """Return the SELECT that a request for a query or table means.

    ``columns``, ``where`` and ``limit`` narrow a table, or a query as a whole.

    Args:
        request: what was asked for.
        quote_column: how this database quotes the name of a column.
        quote_table: how it quotes that of a table, which may have a schema in front.

    Raises:
        ConfigurationError: neither a query nor a table was given.
    """
    if request.query is not None:
        query = bare(request.query)
        if not query:
            raise ConfigurationError(f"{request.shown}: the query is empty")
        if request.columns is None and request.where is None and request.limit is None:
            return _whole(query, request)
        source = f"(\n{query}\n) AS query"  # on lines of its own: the query may end in a comment
    elif request.table:
        source = quote_table(request.table)
    else:
        raise ConfigurationError(f"{request.shown}: say what to read: a table (-t) or a query (-q)")
    columns = "*" if request.columns is None else ", ".join(map(quote_column, request.columns))
    where = "" if request.where is None else f" WHERE {request.where}"
    limit = "" if request.limit is None else f" LIMIT {request.limit:d}"
    return _whole(f"SELECT {columns} FROM {source}{where}{limit}", request)  # noqa: S608 - the user's own SQL


def _whole(statement: str, request: SourceRequest) -> str:
    """Refuse a statement of which a library written in C would see the beginning only."""
    if "\0" in statement:
        raise ConfigurationError(
            f"{request.shown}: there is a NUL character in the query, or in the name of the table or a column"
        )
    return statement


def all_columns(request: SourceRequest) -> SourceRequest:
    """Return a request for no rows of what is to be read, with every column there is."""
    return replace(request, columns=None, where=None, limit=0)
