"""A listing shows the first page of a query and keeps its cursor: the server keeps the rest ready for ten minutes."""

from typing import Any

import pymongo
import pymongo.cursor

from tests.leaks.corpus import Expected
from tests.leaks.corpus.mongo_service import connect_to_mongo_service

REQUIRES = ("pymongo",)
LEAKS = [Expected(kind="cursor", fix="close")]

clients: list[pymongo.MongoClient[dict[str, Any]]] = []
listings: dict[str, pymongo.cursor.Cursor[dict[str, Any]]] = {}


def prepare() -> None:
    clients.append(connect_to_mongo_service())


def program() -> None:
    cursor = listings["session-1"] = clients[0].shop.items.find()
    assert next(cursor)["number"] == 0
