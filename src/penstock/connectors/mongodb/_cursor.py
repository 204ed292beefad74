"""Read the replies to a find or an aggregation, one after another, as undecoded bytes.

There are two ways to wait for the next reply: until the server sends it, or, at the end of a capped collection, until
somebody writes something.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any, Protocol, final

from penstock._extras import need
from penstock.connectors.mongodb._connection import Connection
from penstock.connectors.mongodb._errors import CursorLost, refuses_no_timeout
from penstock.connectors.mongodb._query import Query

__all__ = ["Replies", "documents_per_reply"]

_USUAL_DOCUMENTS = 1000
_MOST_DOCUMENTS = 100_000
_AWAIT_SECONDS = 1.0
_TRY_AGAIN_SECONDS = 0.1


class _Reading(Protocol):
    async def next(self) -> bytes | None:
        """Return the next reply; None at the end."""
        ...


def documents_per_reply(connection: Connection, query: Query, size_bytes: int) -> int:
    """Return how many documents make about ``size_bytes``. Replies have no other measure, but never exceed 16 MiB."""

    async def look() -> int:
        try:
            statistics = await connection.database.command("collStats", query.collection)
        except need("pymongo.errors", extra="mongo", why="read MongoDB").OperationFailure:
            return _USUAL_DOCUMENTS  # a view has none
        average = int(statistics.get("avgObjSize") or 0)
        return max(1, min(_MOST_DOCUMENTS, size_bytes // average)) if average else _USUAL_DOCUMENTS

    return connection.call(look)


@final
class Replies:
    """A running query. Reads one reply ahead, unless replies are larger than ``ahead_bytes``."""

    def __init__(self, connection: Connection, reading: _Reading, ahead_bytes: int) -> None:
        self._connection = connection
        self._reading = reading
        self._ahead_bytes = ahead_bytes
        self._ahead: asyncio.Task[bytes | None] | None = None
        self._has_ended = False

    @classmethod
    def of_query(cls, connection: Connection, query: Query, documents: int, ahead_bytes: int) -> Replies:
        """Return the replies to ``query``, of so many ``documents`` each."""
        return cls(connection, _Result(connection, query, documents), ahead_bytes)

    @classmethod
    def of_tail(cls, connection: Connection, query: Query, idle_seconds: float | None, ahead_bytes: int) -> Replies:
        """Return what is, and what will be, in a capped collection."""
        return cls(connection, _Tail(connection, query, idle_seconds), ahead_bytes)

    def next(self) -> bytes | None:
        """Block until there is a reply, and return its documents, one after another; None at the end.

        Raises:
            SourceError: the server failed.
            Cancelled: the scope was cancelled.
        """
        return None if self._has_ended else self._connection.call(self._next)

    async def _next(self) -> bytes | None:
        task, self._ahead = self._ahead or self._connection.started(self._reading.next), None
        reply = await self._connection.result_of(task)
        self._has_ended = reply is None
        if reply is not None and len(reply) <= self._ahead_bytes:
            self._ahead = self._connection.started(self._reading.next)
        return reply


class _Result:
    """What one find or aggregation gives."""

    def __init__(self, connection: Connection, query: Query, documents: int) -> None:
        self._connection = connection
        self._query = query
        self._documents = documents
        self._cursor: Any = None

    async def next(self) -> bytes | None:
        if self._cursor is None:
            return await self._first()
        return await self._more()

    async def _first(self) -> bytes | None:
        if self._query.pipeline is not None:
            self._cursor = await _collection(self._connection, self._query).aggregate_raw_batches(
                list(self._query.pipeline),
                session=self._connection.session,
                batchSize=self._documents,
                **self._query.options,
            )
            self._connection.keep(self._cursor)
            return await self._more()
        self._cursor = _find(self._connection, self._query, no_cursor_timeout=True, batch_size=self._documents)
        try:
            return await self._more()
        except need("pymongo.errors", extra="mongo", why="read MongoDB").OperationFailure as exc:
            if not refuses_no_timeout(exc):
                raise
        # Servers of 5.0 and later do not end a cursor in a session that is refreshed, so nothing is lost.
        self._cursor = _find(self._connection, self._query, batch_size=self._documents)
        return await self._more()

    async def _more(self) -> bytes | None:
        while True:
            try:
                reply: bytes = await self._cursor.next()
            except StopAsyncIteration:
                if not self._cursor.alive:
                    return None
                continue  # an empty reply is no end
            return reply


class _Tail:
    """What is in a capped collection, and then what is added.

    Args:
        connection: to read from.
        query: a find.
        idle_seconds: without a new document for so long, it ends; None: never.
    """

    def __init__(self, connection: Connection, query: Query, idle_seconds: float | None) -> None:
        self._connection = connection
        self._query = query
        self._idle_seconds = idle_seconds
        self._cursor: Any = None
        self._has_read = False

    async def next(self) -> bytes | None:
        """Wait for documents."""
        began = monotonic()
        while self._idle_seconds is None or monotonic() - began < self._idle_seconds:
            if self._cursor is None:
                self._cursor = self._opened()
            try:
                reply: bytes = await self._cursor.next()
            except StopAsyncIteration:
                await self._check_alive()
                continue
            self._has_read = True
            return reply
        return None

    def _opened(self) -> Any:
        kind = need("pymongo", extra="mongo", why="read MongoDB").CursorType.TAILABLE_AWAIT
        cursor = _find(self._connection, self._query, cursor_type=kind)
        return cursor.max_await_time_ms(int(min(_AWAIT_SECONDS, self._idle_seconds or _AWAIT_SECONDS) * 1000))

    async def _check_alive(self) -> None:
        """See whether there may be more. On an empty collection the server closes the cursor at once: open another."""
        if self._cursor.alive:
            return
        if self._has_read:
            raise CursorLost
        self._cursor = None
        await asyncio.sleep(_TRY_AGAIN_SECONDS)


def _find(connection: Connection, query: Query, **options: Any) -> Any:
    cursor = _collection(connection, query).find_raw_batches(session=connection.session, **query.options, **options)
    connection.keep(cursor)
    return cursor


def _collection(connection: Connection, query: Query) -> Any:
    return connection.database[query.collection]
