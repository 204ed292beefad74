"""Find database cursors with unread rows, and HTTP responses with unread bodies.

Each keeps its connection from being used again, and a cursor keeps a statement or transaction of the database open. They
are recorded when they are made (``_noting.targets.RESOURCES``, ``sqlite``), and only their attributes are read: nothing is
read from the network, and nothing sent.
"""

from __future__ import annotations

import weakref
from collections.abc import Hashable, Iterable, Iterator, Sequence
from time import monotonic
from typing import Any

from penstock.leaks._finders.resource_kinds import (
    CURSORS,
    RESPONSES,
    ResourceKind,
    fix_for,
    is_open,
    name_of,
    wrapped_by,
)
from penstock.leaks._finders.sqlite import unfinished_cursors
from penstock.leaks._looking.heap import is_called
from penstock.leaks._looking.holders import Search
from penstock.leaks._looking.in_use import is_in_order_hands
from penstock.leaks._looking.weaksets import references, remembered
from penstock.leaks._noting.origins import OwnWeakSet, note_of, resources
from penstock.leaks._report.model import Leak
from penstock.leaks._straggler import Straggler

__all__ = ["CursorFinder", "ResourceStraggler", "ResponseFinder"]


class CursorFinder:
    """Finds cursors that are open with rows to come: of sqlite3, psycopg, pymysql and pymongo."""

    def baseline(self) -> tuple[float, OwnWeakSet]:
        """Return the time, and SQLite's cursors, of which it is not known when they were made."""
        return monotonic(), remembered({weakref.ref(cursor) for cursor in unfinished_cursors()})

    def stragglers(self, since: tuple[float, OwnWeakSet] | None) -> list[ResourceStraggler]:
        """Return the cursors that were not open then."""
        at, before = (since[0], references(since[1])) if since is not None else (0.0, frozenset())
        found = [cursor for cursor in unfinished_cursors() if weakref.ref(cursor) not in before]
        found += _left_open(CURSORS, at)
        return [ResourceStraggler("cursor", cursor) for cursor in found]


class ResponseFinder:
    """Finds responses with unread bodies: of http.client, urllib3 (and so requests and botocore), httpx, aiohttp."""

    def baseline(self) -> float:
        """Return the time; when a response was made is noted."""
        return monotonic()

    def stragglers(self, since: float | None) -> list[ResourceStraggler]:
        """Return the responses made since then, the outermost where one wraps another."""
        found = list(_left_open(RESPONSES, since or 0.0))
        inside = {id(inner) for response in found for inner in wrapped_by(response)}
        return [ResourceStraggler("response", response) for response in found if id(response) not in inside]


class ResourceStraggler(Straggler):
    """A cursor or response that is still open. Does not keep it alive."""

    __slots__ = ("_identity", "_reference", "kind")

    kind: ResourceKind

    def __init__(self, kind: ResourceKind, thing: Any) -> None:
        self.kind = kind
        self._reference = weakref.ref(thing)
        self._identity = (kind, id(thing))

    @property
    def identity(self) -> Hashable:
        """The address of the object."""
        return self._identity

    @property
    def name(self) -> str:
        """Its class and rows, or method and URL, without user, password and query."""
        thing = self._reference()
        return name_of(thing) if thing is not None else f"a {self.kind} that is gone"

    def created_by(self) -> str | None:
        """Return the function it was made by, if that was noted."""
        note = note_of(self._reference())
        return note.place.function if note is not None else None

    def serves(self) -> str | None:
        """Return the reason if it may be open without being a leak, else None."""
        thing = self._reference()
        if thing is None or not (is_open(thing) or any(cursor is thing for cursor in unfinished_cursors())):
            return "it has been read to its end, closed or dropped meanwhile"
        return None

    def leak(self, waited_seconds: float) -> Leak:
        """Describe it as a leak."""
        thing = self._reference()
        note = note_of(thing)
        return Leak(
            kind=self.kind,
            name=self.name,
            fix=fix_for(thing),
            started_at=str(note.place) if note is not None else None,
            start_stack=tuple(map(str, note.stack)) if note is not None else (),
            holders=Search([thing]).holding(thing).holders if thing is not None else (),
            waited_seconds=waited_seconds,
            scope=note.scope if note is not None else None,
            identity=self.identity,
        )

    def covered_by(self, others: Sequence[Leak]) -> bool:
        """Whether a thread or task that has not leaked is in the middle of reading it."""
        thing = self._reference()
        return thing is None or is_in_order_hands(thing, others)


def _left_open(kinds: Iterable[str], since: float) -> Iterator[Any]:
    """Yield what was made since then, is of one of ``kinds``, and open."""
    for reference in resources.keyrefs():
        thing = reference()
        note = note_of(thing) if thing is not None else None
        if note is not None and note.at >= since and is_called(thing, *kinds) and is_open(thing):
            yield thing
