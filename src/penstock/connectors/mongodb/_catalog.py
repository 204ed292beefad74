"""Look up the collections of a database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from penstock._extras import need
from penstock.connectors.mongodb._connection import Connection
from penstock.errors import SourceError
from penstock.flow.suggest import did_you_mean

__all__ = ["Collection", "check_collection", "looked_up"]

_MOST_NAMES_SHOWN = 10


@dataclass(frozen=True)
class Collection:
    """A collection; sizes are None of a view, and where the user may not know them."""

    documents: int | None
    stored_bytes: int | None


def check_collection(connection: Connection, name: str) -> None:
    """Make sure that there is a collection called ``name``: MongoDB itself takes a missing one for an empty one.

    Raises:
        SourceError: there is none; says which one may have been meant.
    """
    names = connection.call(lambda: _names(connection))
    if names is None or name in names:
        return
    if not names:
        hint = "the database has no collections this user can see"
    else:
        more = ", ..." if len(names) > _MOST_NAMES_SHOWN else ""
        hint = did_you_mean(name, names, otherwise=f"there are {', '.join(names[:_MOST_NAMES_SHOWN])}{more}")
    raise SourceError(f"no such collection: {name}", where=connection.where, hint=hint)


def looked_up(connection: Connection, name: str) -> Collection:
    """Return what is known of a collection.

    Raises:
        SourceError: there is none.
    """
    check_collection(connection, name)
    statistics = connection.call(lambda: _statistics(connection, name))
    return Collection(statistics.get("count"), statistics.get("size"))


async def _names(connection: Connection) -> list[str] | None:
    """Return the names of all collections; None if this user may not know them."""
    try:
        found = await connection.database.list_collection_names(authorizedCollections=True)
    except _refused():
        return None
    return sorted(name for name in found if not name.startswith("system."))


async def _statistics(connection: Connection, name: str) -> dict[str, Any]:
    try:
        return dict(await connection.database.command("collStats", name))
    except _refused():
        return {}


def _refused() -> Any:
    return need("pymongo.errors", extra="mongo", why="read MongoDB").OperationFailure
