"""A module holds a connection pool: its maintenance threads and its idle connections are there to stay."""

from typing import Any

import psycopg_pool

from tests.leaks.corpus import postgres_uri

REQUIRES = ("psycopg", "psycopg_pool")
SERVICE = "postgres"

pools: list[psycopg_pool.ConnectionPool[Any]] = []


def program() -> None:
    pools.append(psycopg_pool.ConnectionPool(postgres_uri(), min_size=2, open=True))
    pools[0].wait()
    with pools[0].connection() as connection:
        assert connection.execute("select 1").fetchone() == (1,)
