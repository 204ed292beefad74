"""The methods that ``origins`` wraps: those that start threads and tasks, make primitives, and open resources.

They are looked up by name in modules that are loaded already. Nothing is imported for this, and names that a version of a
library does not have are skipped.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MAKERS", "RESOURCES", "STARTERS", "Target"]


@dataclass(frozen=True, slots=True)
class Target:
    """A function or method whose calls are noted.

    Attributes:
        module: where it is; looked up in ``sys.modules``.
        attribute: its dotted name there.
        returns: the note is about what it returns, rather than about ``self``.
    """

    module: str
    attribute: str
    returns: bool = False


STARTERS = (
    Target("threading", "Thread.start"),
    Target("subprocess", "Popen.__init__"),
    Target("multiprocessing.process", "BaseProcess.start"),
    Target("asyncio.base_events", "BaseEventLoop.create_task", returns=True),
    Target("trio._core._run", "Runner.spawn_impl", returns=True),
)

MAKERS = (
    Target("threading", "Condition.__init__"),
    Target("threading", "Event.__init__"),
    Target("threading", "Semaphore.__init__"),
    Target("threading", "Barrier.__init__"),
    Target("queue", "Queue.__init__"),
    Target("concurrent.futures._base", "Future.__init__"),
    Target("concurrent.futures.thread", "ThreadPoolExecutor.__init__"),
    Target("concurrent.futures.process", "ProcessPoolExecutor.__init__"),
    Target("socket", "socket.__init__"),
    Target("asyncio.queues", "Queue.__init__"),
    Target("asyncio.locks", "Lock.__init__"),
    Target("asyncio.locks", "Event.__init__"),
    Target("asyncio.locks", "Condition.__init__"),
    Target("asyncio.locks", "Semaphore.__init__"),
    Target("asyncio.locks", "Barrier.__init__"),
    Target("asyncio.base_events", "BaseEventLoop.create_future", returns=True),
    Target("trio._sync", "Event.__init__"),
    Target("trio._sync", "_LockImpl.__init__"),
    Target("trio._channel", "MemoryReceiveChannel.__init__"),
    Target("trio._channel", "MemorySendChannel.__init__"),
    Target("penstock.core.pool._pool", "WorkerPool.__init__"),
)

# What these make is also kept in ``_origins.resources``, by weak reference, for the finders of open resources.
RESOURCES = (
    Target("psycopg._cursor_base", "BaseCursor.__init__"),
    Target("pymongo.cursor_shared", "_AgnosticCursor.__init__"),
    Target("pymongo.cursor_shared", "_AgnosticCommandCursorBase.__init__"),
    Target("pymongo.synchronous.cursor", "Cursor.__init__"),  # where the classes above make none
    Target("pymongo.synchronous.command_cursor", "CommandCursor.__init__"),
    Target("pymongo.asynchronous.cursor", "AsyncCursor.__init__"),
    Target("pymongo.asynchronous.command_cursor", "AsyncCommandCursor.__init__"),
    Target("pymysql.cursors", "Cursor.__init__"),
    Target("http.client", "HTTPResponse.__init__"),
    Target("urllib3.response", "HTTPResponse.__init__"),
    Target("httpx", "Response.__init__"),
    Target("aiohttp.client_reqrep", "ClientResponse.__init__"),
    Target("asyncio.base_events", "BaseEventLoop.__init__"),  # knows the asynchronous generators begun in it
)
