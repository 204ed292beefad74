"""One cursor was read to its end, one was closed, one has not asked for anything yet; the client is kept."""

from typing import Any

import pymongo
import pymongo.cursor

from tests.leaks.corpus.mongo_service import connect_to_mongo_service

REQUIRES = ("pymongo",)

clients: list[pymongo.MongoClient[dict[str, Any]]] = []
cursors: list[pymongo.cursor.Cursor[dict[str, Any]]] = []


def prepare() -> None:
    clients.append(connect_to_mongo_service())


def program() -> None:
    items = clients[0].shop.items
    cursors.append(items.find(limit=3))
    assert [item["number"] for item in cursors[0]] == [0, 1, 2]
    cursors.append(items.find())
    with cursors[1] as some:
        assert next(some)["number"] == 0
    cursors.append(items.find())
