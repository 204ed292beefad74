"""Databases of whatever speaks MongoDB's protocol here, so that one test runs on all of them.

FerretDB (real, not ours), our own double, and a real mongod where ``PENSTOCK_MONGO_URI`` names one. The double's
commands go over a plain socket, everything else through pymongo.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pymongo

__all__ = ["MongoDatabase", "mongod_database", "mongod_uri"]

Document = Mapping[str, Any]


@dataclass(frozen=True)
class MongoDatabase:
    """An empty database, and what can be asked about its server.

    Attributes:
        uri: its address.
        server: "ferretdb", "double" or "mongod".
        open_cursors: counts the cursors of all clients.
    """

    uri: str
    server: str
    open_cursors: Callable[[], int] = field(repr=False)

    def insert(self, collection: str, documents: Iterable[Document]) -> None:
        """Insert documents, in this order."""
        with self._opened() as database:
            database[collection].insert_many(list(documents))

    def create(self, collection: str, **options: object) -> None:
        """Create a collection: ``capped=True, size=65536``."""
        with self._opened() as database:
            database.create_collection(collection, check_exists=False, **options)

    def drop(self, collection: str) -> None:
        """Drop a collection."""
        with self._opened() as database:
            database.drop_collection(collection)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Any]:
        with pymongo.MongoClient[dict[str, Any]](self.uri) as client:
            yield client.get_default_database()


def mongod_uri() -> str:
    """Return the address of a real mongod that tests may use; "" without one."""
    return os.environ.get("PENSTOCK_MONGO_URI", "")


@contextlib.contextmanager
def mongod_database() -> Iterator[MongoDatabase]:
    """Give a fresh database on the real mongod, and drop it afterwards."""
    name = f"penstock_{secrets.token_hex(4)}"
    uri = urlunsplit(urlsplit(mongod_uri())._replace(path=f"/{name}"))

    def open_cursors() -> int:
        with pymongo.MongoClient[dict[str, Any]](uri) as client:
            return int(client.admin.command("serverStatus")["metrics"]["cursor"]["open"]["total"])

    yield MongoDatabase(uri, "mongod", open_cursors)
    with pymongo.MongoClient[dict[str, Any]](uri) as client:
        client.drop_database(name)
