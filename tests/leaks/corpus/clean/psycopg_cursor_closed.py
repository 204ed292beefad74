"""Cursors on the client's side hold nothing of the server's; the one on the server's side was closed."""

from typing import Any

import psycopg

from tests.leaks.corpus import postgres_uri

REQUIRES = ("psycopg",)
SERVICE = "postgres"

connections: list[psycopg.Connection[Any]] = []
cursors: list[psycopg.Cursor[Any]] = []


def program() -> None:
    connections.append(psycopg.connect(postgres_uri(), autocommit=True))
    cursors.append(connections[0].execute("select generate_series(1, 10)"))
    assert len(cursors[0].fetchall()) == 10
    with connections[0].transaction(), connections[0].cursor(name="listing") as listing:
        cursors.append(listing)
        listing.execute("select generate_series(1, 100000)")
        assert listing.fetchone() == (1,)
