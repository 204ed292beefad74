"""Find out what a descriptor is part of (a connection pool, an event loop, a child process), and how to close it.

Classes are recognised by their names, as none of these libraries is imported here. Only their attributes are read; if a
version of a library keeps something elsewhere, the descriptor gets the benefit of the doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Any

from penstock.leaks._finders.owners import PSYCOPG, SQLITE
from penstock.leaks._looking.heap import EVENT_LOOP, is_called
from penstock.leaks._looking.holders import Holding

__all__ = ["event_loop_of", "pool_of", "processes_of", "remedy_for", "servant_of"]

_Idle = Callable[[Holding, Any], bool]


def _always(_holding: Holding, _pool: Any) -> bool:
    return True


def _nobody_waits_for(connection: str) -> _Idle:
    def is_idle(holding: Holding, _pool: Any) -> bool:
        found: Any = holding.nearest(connection)
        return bool(found.is_idle())  # AttributeError if there is none: see _believed

    return is_idle


def _not_among(connection: str, busy: str) -> _Idle:
    def is_idle(holding: Holding, pool: Any) -> bool:
        found = holding.nearest(connection)
        return all(each is not found for each in list(getattr(pool, busy)))

    return is_idle


def _where_none(attribute: str) -> _Idle:
    return lambda _holding, pool: getattr(pool, attribute) is None


# What keeps a connection, and when that connection is idle. Pools of the first kind let go of those they hand out.
_POOLS: dict[str, _Idle] = {
    "urllib3.connectionpool.HTTPConnectionPool": _always,
    "psycopg_pool.base.BasePool": _always,
    "pymongo.pool.Pool": _always,
    "pymongo.synchronous.pool.Pool": _always,
    "pymongo.asynchronous.pool.Pool": _always,
    "httpcore.ConnectionPool": _nobody_waits_for("httpcore.HTTPConnection"),
    "httpcore.AsyncConnectionPool": _nobody_waits_for("httpcore.AsyncHTTPConnection"),
    "aiohttp.connector.BaseConnector": _not_among("aiohttp.client_proto.ResponseHandler", "_acquired"),
    "redis.connection.ConnectionPool": _not_among("redis.connection.AbstractConnection", "_in_use_connections"),
    "redis.asyncio.connection.ConnectionPool": _not_among(
        "redis.asyncio.connection.AbstractConnection", "_in_use_connections"
    ),
    "sqlalchemy.pool.base._ConnectionRecord": _where_none("fairy_ref"),
    "asyncpg.pool.PoolConnectionHolder": _where_none("_in_use"),
    "aiomysql.pool.Pool": _not_among("aiomysql.connection.Connection", "_used"),
}

# A connection of pymongo's that watches a server is never handed out; it goes with its MongoClient.
_MONITORED = ("pymongo.synchronous.pool.Connection", "pymongo.asynchronous.pool.AsyncConnection")


def pool_of(holding: Holding) -> str | None:
    """Return the name of the connection pool in which this idles, if it does."""
    monitored = holding.nearest(*_MONITORED)
    if getattr(monitored, "is_sdam", False):
        return "pymongo's monitor of a server"
    for thing in holding.chain:
        for name, is_idle in _POOLS.items():
            if is_called(thing, name) and _believed(is_idle, holding, thing):
                return type(thing).__qualname__
    return None


def _believed(is_idle: _Idle, holding: Holding, pool: Any) -> bool:
    try:
        return is_idle(holding, pool)
    except AttributeError:
        return True


# -- the machinery of loops and processes


def event_loop_of(owner: object, holding: Holding) -> Any | None:
    """Return the event loop whose own descriptor this is: its selector, or the pipe to wake it."""
    loop = holding.nearest(EVENT_LOOP)
    if loop is None:
        return None
    if type(loop).__module__.partition(".")[0] == "uvloop":
        return loop if any(held is loop for held in holding.chain[:2]) else None  # it shows nothing of its inside
    own = (getattr(loop, name, None) for name in ("_selector", "_ssock", "_csock"))
    return loop if any(each is owner for each in own) else None


def servant_of(holding: Holding) -> str | None:
    """Return what keeps this open on behalf of the whole process until the interpreter exits, if anything does."""
    if holding.nearest("trio._core._wakeup_socketpair.WakeupSocketpair") is not None:
        return "trio closes it at the end of its run"
    if holding.nearest("multiprocessing.resource_tracker.ResourceTracker", "multiprocessing.forkserver.ForkServer"):
        return "multiprocessing keeps it for as long as the interpreter lives"
    return None


def processes_of(holding: Holding) -> Iterator[Hashable]:
    """Yield the numbers of the child processes that this is a connection to."""
    for thing in holding.chain:
        if is_called(thing, "subprocess.Popen", "multiprocessing.popen_fork.Popen"):
            yield getattr(thing, "pid", None)
        elif is_called(thing, "multiprocessing.process.BaseProcess"):
            yield getattr(getattr(thing, "_popen", None), "pid", None)
        elif is_called(thing, "asyncio.base_subprocess.BaseSubprocessTransport"):
            yield getattr(thing, "_pid", None)
        elif is_called(thing, "concurrent.futures.process.ProcessPoolExecutor"):
            yield from list(getattr(thing, "_processes", None) or ())
        elif is_called(thing, "concurrent.futures.process._ExecutorManagerThread"):
            yield from list(getattr(thing, "processes", None) or ())
        elif is_called(thing, "multiprocessing.pool.Pool"):
            yield from (getattr(each, "pid", None) for each in list(getattr(thing, "_pool", None) or ()))


# -- remedies

_REMEDIES: dict[str, str] = {
    "subprocess.Popen": "close the pipes of the process: use `with Popen(...)`, or communicate()",
    "tempfile._TemporaryFileWrapper": "close the temporary file: `with tempfile.NamedTemporaryFile() as file:`",
    PSYCOPG: "close the connection, or use `with psycopg.connect(...)`",
    SQLITE: "close the SQLite connection: `with contextlib.closing(sqlite3.connect(...))`; its own `with` only commits",
    "psycopg2.extensions.connection": "close the connection: `with contextlib.closing(psycopg2.connect(...))`",
    "pymysql.connections.Connection": "close the connection: `with contextlib.closing(pymysql.connect(...))`",
    "socketserver.BaseServer": "close the server: `with` around it, or server_close()",
    "asyncio.base_events.Server": "close the server: `async with server:`, or server.close() and wait_closed()",
    "asyncio.transports.BaseTransport": "close the connection: writer.close() and `await writer.wait_closed()`, or the "
    "session or client it belongs to",
    "trio._socket._SocketType": "close the stream: `async with stream:`",
    "http.client.HTTPConnection": "close the connection: `with contextlib.closing(...)`, or the session it belongs to",
    "multiprocessing.queues.Queue": "close() the queue, and join_thread() it",
    "multiprocessing.connection._ConnectionBase": "close() both ends of the connection, best by `with`",
    "multiprocessing.shared_memory.SharedMemory": "close() the shared memory here, and unlink() it once",
    "mmap.mmap": "close the map: `with mmap.mmap(...) as mapped:`",
    "selectors.BaseSelector": "close the selector: `with selectors.DefaultSelector() as selector:`",
}


def remedy_for(holding: Holding) -> str | None:
    """Return how to close the nearest thing in the chain that is known here."""
    for thing in holding.chain:
        for name, remedy in _REMEDIES.items():
            if is_called(thing, name):
                return remedy
    return None
