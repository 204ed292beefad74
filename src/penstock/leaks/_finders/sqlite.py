"""Find SQLite cursors whose statement has not been run to its end.

They are written in C, cannot be wrapped, and do not tell whether they are finished. But a cursor refers to its statement
exactly as long as that is running, and a connection refers weakly to all its cursors; the garbage collector shows both.
A connection cannot be referred to weakly, but the statement cache of every open connection can, and it refers to the
connection. So the open connections are tracked, and through them the cursors, without searching the heap at every check,
which would take tens of milliseconds in a large process.

The heap is looked through once, when SQLite is first seen loaded. Connections opened later are noted as they are
made, by ``sqlite3.connect``. Not found: a cursor of a connection opened since then by ``sqlite3.Connection(...)``, or
by a ``connect`` that had been imported by its name before.
"""

from __future__ import annotations

import functools
import gc
import sys
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from penstock.leaks._looking.weaksets import references
from penstock.leaks._noting.origins import OwnWeakSet

__all__ = ["unfinished_cursors"]

_MODULES = ("sqlite3", "sqlite3.dbapi2")
_CACHE, _STATEMENT = "_lru_cache_wrapper", "Statement"

_caches_of_open_connections = OwnWeakSet()
_prepared: list[bool] = []


def unfinished_cursors() -> Iterator[Any]:
    """Yield the cursors whose statements go on."""
    if "_sqlite3" not in sys.modules:
        return
    if not _prepared:
        _prepare()
    for reference in references(_caches_of_open_connections):
        for connection in _referents(reference(), "Connection"):
            yield from filter(_goes_on, _cursors_of(connection))


def _prepare() -> None:
    _prepared.append(True)
    for name in _MODULES:
        module = sys.modules.get(name)
        if module is not None:
            module.connect = _remembering(module.connect)  # type: ignore[attr-defined]
    for connection in _instances(sys.modules["_sqlite3"].Connection):
        _remember(connection)


def _instances(cls: type) -> Iterator[Any]:
    """Yield the instances of a class. Every instance refers to its class, so one step in C finds them."""
    classes = [cls]
    for each in classes:  # grows during the loop
        classes += each.__subclasses__()
    for referrer in gc.get_referrers(*classes):
        if issubclass(type(referrer), cls):  # isinstance() may run code of what is no instance
            yield referrer


def _remembering(connect: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(connect)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        connection = connect(*args, **kwargs)
        _remember(connection)
        return connection

    return wrapper


def _remember(connection: Any) -> None:
    for cache in _referents(connection, _CACHE):
        _caches_of_open_connections.add(cache)


def _cursors_of(connection: Any) -> Iterator[Any]:
    for held in gc.get_referents(connection):
        if type(held) is list:  # of cursors; and another one of blobs
            for reference in list(held):
                cursor = reference() if isinstance(reference, weakref.ref) else None
                if cursor is not None:
                    yield cursor


def _goes_on(cursor: Any) -> bool:
    # What executemany() has run stays as well, but gives no rows, and then there is no description.
    return bool(_referents(cursor, _STATEMENT)) and cursor.description is not None


def _referents(thing: Any, kind: str) -> list[Any]:
    """Return what ``thing`` refers to that is of a class, or of a subclass of one, with that name."""
    return [held for held in gc.get_referents(thing) if any(cls.__name__ == kind for cls in type(held).__mro__)]
