"""A thread listens for notifications without a timeout; its connection stays open as long as it does."""

import threading

import psycopg

from tests.leaks.corpus import Expected, postgres_uri, until_parked

REQUIRES = ("psycopg",)
SERVICE = "postgres"
# Not proven: anybody at the database may notify it.
LEAKS = [
    Expected(kind="thread", name="listener", function="listen"),
    Expected(kind="socket", optional=True),
]


def listen() -> None:
    with psycopg.connect(postgres_uri(), autocommit=True) as connection:
        connection.execute("listen news")
        for _notification in connection.notifies():
            pass


def program() -> None:
    listener = threading.Thread(target=listen, name="listener")
    listener.start()
    until_parked(listener)
