"""A thread asks a database that is not there, with ten minutes of patience, and outlives its caller."""

import threading

import pymongo

from tests.leaks.corpus import Expected, until_parked
from tests.servers._process import free_port

REQUIRES = ("pymongo",)
# Not proven: the wait has an end. Of the client's own threads nothing is to be said.
LEAKS = [Expected(kind="thread", name="status", function="ask_status")]


def ask_status() -> None:
    client: pymongo.MongoClient[dict[str, object]]
    with pymongo.MongoClient("127.0.0.1", free_port(), serverSelectionTimeoutMS=600_000) as client:
        client.admin.command("ping")


def program() -> None:
    status = threading.Thread(target=ask_status, name="status")
    status.start()
    until_parked(status)
