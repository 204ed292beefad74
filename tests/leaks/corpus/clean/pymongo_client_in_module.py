"""A module holds a ``MongoClient``: its monitors look for the server for as long as the client lives."""

from typing import Any

import pymongo

from tests.leaks.corpus import until
from tests.servers._process import free_port

REQUIRES = ("pymongo",)

clients: list[pymongo.MongoClient[dict[str, Any]]] = []


def program() -> None:
    client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient("127.0.0.1", free_port())
    clients.append(client)
    until(lambda: any(server.error for server in client.topology_description.server_descriptions().values()))
