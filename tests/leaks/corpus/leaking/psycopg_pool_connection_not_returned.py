"""A request handler takes the pool's only connection and then waits for a decision that never comes."""

import queue
import threading
from typing import Any

import psycopg_pool

from tests.leaks.corpus import Expected, postgres_uri, until_parked

REQUIRES = ("psycopg", "psycopg_pool")
SERVICE = "postgres"
LEAKS = [Expected(kind="thread", proven=True, name="handler", function="handle", blocked_on="queue.Queue.get")]

pools: list[psycopg_pool.ConnectionPool[Any]] = []


def handle(decisions: queue.Queue[bool]) -> None:
    with pools[0].connection() as connection:
        connection.execute("select 1")
        decisions.get()


def prepare() -> None:
    pools.append(psycopg_pool.ConnectionPool(postgres_uri(), min_size=1, max_size=1, open=True))
    pools[0].wait()


def program() -> None:
    handler = threading.Thread(target=handle, args=(queue.Queue(),), name="handler", daemon=True)
    handler.start()
    until_parked(handler)
