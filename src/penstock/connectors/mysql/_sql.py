"""Quote names and literals for MySQL. Pure text."""

from __future__ import annotations

from penstock.connectors._requests import SourceRequest
from penstock.connectors._sql import select_statement

__all__ = ["literal", "quoted", "quoted_path", "select"]


def quoted(name: str) -> str:
    """Return an identifier, whatever characters are in ``name``: in backticks, which no sql_mode takes for strings."""
    return "`" + name.replace("`", "``") + "`"


def quoted_path(table: str) -> str:
    """Return ```database`.`table``` for ``database.table``."""
    return ".".join(map(quoted, table.split(".")))


def literal(text: str) -> str:
    """Return a string literal that means the same whether backslashes escape or not."""
    return f"_utf8mb4 x'{text.encode().hex()}'" if text else "''"


def select(request: SourceRequest) -> str:
    """Return the SELECT that a request for a query or table means.

    Raises:
        ConfigurationError: neither a query nor a table was given.
    """
    return select_statement(request, quoted, quoted_path)
