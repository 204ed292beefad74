"""A named cursor is read for one page and kept: the server keeps its portal, and its transaction open."""

from typing import Any

import psycopg

from tests.leaks.corpus import Expected, postgres_uri

REQUIRES = ("psycopg",)
SERVICE = "postgres"
LEAKS = [Expected(kind="cursor", name="*listing*", fix="close")]

connections: list[psycopg.Connection[Any]] = []
listings: dict[str, psycopg.ServerCursor[Any]] = {}


def prepare() -> None:
    connections.append(psycopg.connect(postgres_uri()))


def program() -> None:
    cursor = listings["session-1"] = connections[0].cursor(name="listing")
    cursor.execute("select generate_series(1, 100000)")
    assert cursor.fetchone() == (1,)
