"""Rows of short answers, as text."""

from __future__ import annotations

from typing import Any

from penstock.connectors.postgres._libpq import Connection

__all__ = ["rows"]


def rows(connection: Connection, statement: str) -> list[tuple[Any, ...]]:
    """Run ``statement`` and return its rows: of each value the text, or None."""
    result = connection.execute(statement)
    return [
        tuple(_text(result.get_value(row, column)) for column in range(result.nfields)) for row in range(result.ntuples)
    ]


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()
