"""A connection to MongoDB: pymongo's asynchronous client, in an event loop of its own.

It is asynchronous because a cancel then interrupts every wait, while pymongo's blocking client checks only every half
second. Besides, the loop goes on while the sink is slow: it reads one reply ahead, and it refreshes the session, which the
server would otherwise end after 30 minutes, with all its cursors.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar, final

from penstock._extras import need
from penstock.connectors._loop_thread import LoopThread
from penstock.connectors.mongodb._errors import translating
from penstock.core._last_wait import is_stopping, last_wait
from penstock.core.cancel import CancelScope
from penstock.errors import SourceError

__all__ = ["Connection", "connected"]

T = TypeVar("T")

_log = logging.getLogger("penstock.mongodb")

GRACE_SECONDS = 2.0  # to tell the server to stop, which a server that does not answer cannot be told
_CLOSING_SECONDS = 0.5
_REFRESH_SECONDS = 300.0  # six times in the 30 minutes a server gives a session that nobody refreshes


@contextmanager
def connected(uri: str, defaults: dict[str, Any], database: str, *, where: str) -> Iterator[Connection]:
    """Connect; on leaving, close every cursor, stop what still runs on the server, and disconnect.

    Blocks until a server is found; a cancel interrupts it.

    Args:
        uri: the address.
        defaults: options of the client that the address does not give.
        database: the one that is read.
        where: for messages.

    Raises:
        SourceError: no server answers, or it refuses.
    """
    with LoopThread("penstock mongodb") as loop:
        connection = Connection(loop, uri, defaults, database, where)
        try:
            connection.open()
            yield connection
        finally:
            connection.close()


@final
class Connection:
    """An open connection, for one thread. Its methods block, and are woken by a cancel."""

    def __init__(self, loop: LoopThread, uri: str, defaults: dict[str, Any], database: str, where: str) -> None:
        self.where = where
        self._loop = loop
        self._uri = uri
        self._defaults = defaults
        self._database_name = database
        self._client: Any = None
        self._second_client: Any = None
        self._session: Any = None
        self._refreshing: asyncio.Task[Any] | None = None
        self._cursors: list[Any] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._was_interrupted = False
        self._lost_server = False

    @property
    def database(self) -> Any:
        """The database, of pymongo's asynchronous API; only for what runs under :meth:`call`."""
        return self._client[self._database_name]

    @property
    def session(self) -> Any:
        """The session that every cursor belongs to."""
        return self._session

    def open(self) -> None:
        """Find a server and log in."""
        self.call(self._opened)

    def call(self, operation: Callable[[], Awaitable[T]]) -> T:
        """Run ``operation`` in the loop and return its result.

        Raises:
            SourceError: it failed.
            Cancelled: the surrounding scope was cancelled.
        """
        with translating(self.where):
            return self._loop.call(lambda: self.result_of(self.started(operation)))

    def close(self) -> None:
        """Tell the server to stop, for ``GRACE_SECONDS`` at most, and disconnect. Does not raise."""
        tells = self._was_interrupted or is_stopping()
        notice = last_wait(self.where, "stopping the query", GRACE_SECONDS) if tells else nullcontext()
        with notice, CancelScope(shield=True):
            self._loop.call(self._closed)

    # --- in the loop --------------------------------------------------------------------------------------------

    def keep(self, cursor: Any) -> None:
        """Remember a cursor, which will be closed at the end, whatever happens."""
        self._cursors.append(cursor)

    def started(self, operation: Callable[[], Awaitable[T]]) -> asyncio.Task[T]:
        """Start a task. If it still runs when the connection is closed, it is cancelled and waited for."""

        async def run() -> T:
            return await operation()

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._note_end)
        return task

    async def result_of(self, task: asyncio.Task[T]) -> T:
        """Wait for ``task``. If the wait is cancelled, so is the task, but it may still tell the server to stop."""
        try:
            return await asyncio.shield(task)
        except BaseException:
            self._was_interrupted = True
            task.cancel()
            raise

    def _note_end(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._lost_server = self._lost_server or isinstance(error, _errors().ConnectionFailure)
            _log.debug("%s: %r", self.where, error)  # for a task whose result nobody wants any more

    async def _opened(self) -> None:
        _close_what_is_not_connected(asyncio.get_running_loop())
        try:
            self._client = _pymongo().AsyncMongoClient(self._uri, **self._defaults)
        except (ValueError, OSError) as exc:  # a pool of at least 5 and at most 1; a file with no certificate in it
            hint = "do its options go together, and do the files it names hold certificates?"
            raise SourceError(f"no client can be made for the address: {exc}", where=self.where, hint=hint) from exc
        await self._client.admin.command("ping")
        self._session = self._client.start_session(causal_consistency=False)
        self._refreshing = self.started(self._refresh)

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(_REFRESH_SECONDS)
            await self._try_command({"refreshSessions": [self._session.session_id]}, self._client)

    async def _closed(self) -> None:
        if self._client is None:
            return
        try:
            async with asyncio.timeout(GRACE_SECONDS):
                await self._ended()
        except TimeoutError:
            _log.warning("%s: the server does not answer; a query of ours may still run there", self.where)
        finally:
            await self._disconnected()

    async def _ended(self) -> None:
        was_interrupted = self._was_interrupted or bool(self._tasks - {self._refreshing})
        await self._cancelled(self._tasks)
        for cursor in self._cursors:
            await cursor.close()
        if was_interrupted and self._session is not None:
            # There may be a cursor that nobody knows the number of, or that pymongo takes for closed with its connection.
            client = self._afresh() if self._lost_server else self._client
            await self._try_command({"killSessions": [self._session.session_id]}, client)
        if self._session is not None:
            await self._session.end_session()

    @staticmethod
    async def _cancelled(tasks: set[asyncio.Task[Any]]) -> None:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=GRACE_SECONDS)

    def _afresh(self) -> Any:
        """Return another client, which talks at once to the server that has our cursor.

        After a lost connection, and after errors that pymongo takes for one (11600, 189 and the like), pymongo sends no
        killCursors: it assumes that the server is gone, and the cursor with it. A server that is still running still has
        the cursor. But the first client knows no server until its monitor has looked again. That takes half a second,
        which on a busy machine was more than was left of GRACE_SECONDS; and it would ask the primary, which after a
        step-down is not where our cursor is.
        """
        addresses = [cursor.address for cursor in self._cursors if cursor.address is not None]

        def holders(servers: list[Any]) -> list[Any]:
            return [server for server in servers if server.address == addresses[-1]] if addresses else servers

        self._second_client = _pymongo().AsyncMongoClient(self._uri, **self._defaults, server_selector=holders)
        return self._second_client

    async def _try_command(self, command: dict[str, Any], client: Any) -> None:
        # The one server that the second client knows need not be a primary.
        preference = _pymongo().ReadPreference.NEAREST if client is self._second_client else None
        try:
            await client.admin.command(command, read_preference=preference)
        except _errors().PyMongoError as exc:
            _log.debug("%s: %s: %s", self.where, next(iter(command)), exc)  # a server without it has no sessions to end

    async def _disconnected(self) -> None:
        await self._cancelled(self._tasks)  # again: those that were still telling the server
        for client in (self._second_client, self._client):
            if client is not None:
                await _closed(client)


async def _closed(client: Any) -> None:
    """Close sockets and monitors. The client first sends two farewells, cut short here, as a lost server never answers."""
    for _ in range(3):
        try:
            async with asyncio.timeout(_CLOSING_SECONDS):
                return await client.close()  # type: ignore[no-any-return]  # None
        except TimeoutError:
            continue
    return None


def _close_what_is_not_connected(loop: asyncio.AbstractEventLoop) -> None:
    """Make this loop close a socket whose connecting was cancelled, which pymongo leaves to the garbage collector."""
    connect = loop.sock_connect

    async def connect_or_close(sock: socket.socket, address: Any) -> None:
        try:
            await connect(sock, address)
        except BaseException:
            sock.close()
            raise

    loop.sock_connect = connect_or_close  # type: ignore[method-assign]  # of this loop, which nobody else uses


def _pymongo() -> Any:
    return need("pymongo", extra="mongo", why="read MongoDB")


def _errors() -> Any:
    return need("pymongo.errors", extra="mongo", why="read MongoDB")
