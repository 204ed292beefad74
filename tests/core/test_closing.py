"""draining with every HTTP client against a server that counts connections; closing_cursor with real databases."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from penstock.core.cancel import CancelScope
from penstock.core.closing import closing_cursor, draining
from tests.core.stalling import a_server_that_stalls
from tests.core.threads import PATIENCE, PROMPT, start
from tests.servers.http import HttpServer, Reply

if TYPE_CHECKING:
    from tests.servers.postgres import PostgresDatabase

REQUESTS = 10
BODIES = pytest.mark.parametrize("size", [0, 1000, 100_000], ids=["0B", "1kB", "100kB"])
Get = Callable[[str], Any]


class FailedHalfWay(Exception):
    """What goes wrong in a block."""


@contextmanager
def requests_get() -> Iterator[Get]:
    requests = pytest.importorskip("requests", reason="requests is not installed")
    with requests.Session() as session:
        session.trust_env = False
        yield lambda url: session.get(url, stream=True)


@contextmanager
def urllib3_get() -> Iterator[Get]:
    urllib3 = pytest.importorskip("urllib3", reason="urllib3 is not installed")
    with urllib3.PoolManager() as pool:
        yield lambda url: pool.request("GET", url, preload_content=False)


@contextmanager
def httpx_get() -> Iterator[Get]:
    httpx = pytest.importorskip("httpx", reason="httpx is not installed")
    with httpx.Client(trust_env=False) as client:
        yield lambda url: client.send(client.build_request("GET", url), stream=True)


@contextmanager
def botocore_get() -> Iterator[Get]:
    pytest.importorskip("botocore", reason="botocore is not installed")
    from botocore.awsrequest import AWSRequest
    from botocore.httpsession import URLLib3Session
    from botocore.response import StreamingBody

    session = URLLib3Session()
    yield lambda url: StreamingBody(session.send(_prepared(AWSRequest, url)).raw, None)
    session.close()


def _prepared(request: Any, url: str) -> Any:
    prepared = request("GET", url).prepare()
    prepared.stream_output = True
    return prepared


CLIENTS = {"requests": requests_get, "urllib3": urllib3_get, "httpx": httpx_get, "botocore": botocore_get}
EVERY_CLIENT = pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS.keys())


@BODIES
@EVERY_CLIENT
def test_ten_requests_in_a_loop_use_one_connection(
    client: Callable[[], Any], size: int, http_server: HttpServer
) -> None:
    """Bodies nobody read are drained, so the connection is used again."""
    http_server.reply("*", Reply(body=b"x" * size))
    with client() as get:
        for _ in range(REQUESTS):
            with draining(get(http_server.url + "/")) as response:
                assert response is not None
        assert len(http_server.finished(REQUESTS)) == REQUESTS
        assert http_server.connections == 1


@EVERY_CLIENT
def test_draining_a_body_that_was_read_in_part(client: Callable[[], Any], http_server: HttpServer) -> None:
    """Having read some of it first makes no difference."""
    http_server.reply("*", Reply(body=b"x" * 50_000))
    with client() as get:
        for _ in range(3):
            with draining(get(http_server.url + "/")) as response:
                if hasattr(response, "iter_bytes"):
                    next(response.iter_bytes(1000))
                else:
                    getattr(response, "raw", response).read(1000)
        http_server.finished(3)
        # httpx does not let a half-iterated body be iterated again, so its connection cannot be saved.
        assert http_server.connections == (3 if client is httpx_get else 1)


@EVERY_CLIENT
def test_draining_on_an_exception_of_the_block(client: Callable[[], Any], http_server: HttpServer) -> None:
    """The block's exception leaves as it is, and the connection is used again all the same."""
    http_server.reply("*", Reply(body=b"x" * 1000))
    with client() as get:
        for _ in range(3):
            error = FailedHalfWay()
            with pytest.raises(FailedHalfWay) as caught, draining(get(http_server.url + "/")):
                raise error
            assert caught.value is error
        http_server.finished(3)
        assert http_server.connections == 1


@EVERY_CLIENT
def test_a_body_beyond_the_limit_is_cut(client: Callable[[], Any], http_server: HttpServer) -> None:
    """More than ``limit`` bytes are not worth reading: the connection is closed instead."""
    http_server.reply("*", Reply(body=b"x" * 30_000_000))
    with client() as get:
        began = time.monotonic()
        with draining(get(http_server.url + "/"), limit=100_000):
            pass
        assert time.monotonic() - began < PATIENCE / 2
        http_server.wait_until(lambda: http_server.open_connections == 0)


@EVERY_CLIENT
def test_a_body_that_does_not_come_is_cut_in_time(client: Callable[[], Any]) -> None:
    """A server that stalls in the middle of the body costs ``timeout`` seconds, no more."""
    with a_server_that_stalls() as url, client() as get:
        began = time.monotonic()
        with draining(get(url), timeout=0.1):
            pass
        assert time.monotonic() - began < 0.1 + PROMPT


@EVERY_CLIENT
def test_a_cancel_ends_draining(client: Callable[[], Any]) -> None:
    """A cancel from another thread wakes the read of a body that does not come."""
    scope = CancelScope()

    def drain() -> float:
        with scope, draining(get(url), timeout=PATIENCE):
            pass
        return time.monotonic()

    with a_server_that_stalls() as url, client() as get:
        running = start(drain)
        running.wait_parked()
        cancelled_at = time.monotonic()
        scope.cancel()
        assert running.result() - cancelled_at < PROMPT


# --- tasks ------------------------------------------------------------------------------------------------------


@BODIES
def test_aiohttp_uses_one_connection(size: int, http_server: HttpServer) -> None:
    """``async with draining(response)``."""
    aiohttp = pytest.importorskip("aiohttp", reason="aiohttp is not installed")
    http_server.reply("*", Reply(body=b"x" * size))

    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            for _ in range(REQUESTS):
                async with draining(await session.get(http_server.url + "/")):
                    pass

    asyncio.run(main())
    http_server.finished(REQUESTS)
    assert http_server.connections == 1


@BODIES
def test_httpx_async_uses_one_connection(size: int, http_server: HttpServer, anyio_backend: str) -> None:
    """On asyncio and trio."""
    httpx = pytest.importorskip("httpx", reason="httpx is not installed")
    import anyio

    http_server.reply("*", Reply(body=b"x" * size))

    async def main() -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            for _ in range(REQUESTS):
                request = client.build_request("GET", http_server.url + "/")
                async with draining(await client.send(request, stream=True)):
                    pass

    anyio.run(main, backend=anyio_backend)
    http_server.finished(REQUESTS)
    assert http_server.connections == 1


# --- cursors ----------------------------------------------------------------------------------------------------


def test_closing_cursor_closes_a_db_api_cursor() -> None:
    """On every way out; sqlite3 refuses a closed cursor."""
    connection = sqlite3.connect(":memory:")
    try:
        with closing_cursor(connection.execute("SELECT 1 UNION SELECT 2")) as cursor:
            assert cursor.fetchone() == (1,)
        with pytest.raises(sqlite3.ProgrammingError):
            cursor.fetchone()
        with pytest.raises(FailedHalfWay), closing_cursor(connection.execute("SELECT 1")) as cursor:
            raise FailedHalfWay
        with pytest.raises(sqlite3.ProgrammingError):
            cursor.fetchone()
    finally:
        connection.close()


def test_closing_cursor_closes_a_server_side_cursor(postgres: PostgresDatabase) -> None:
    """A psycopg named cursor that is left half-read is gone from the server."""
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")
    with psycopg.connect(postgres.dsn) as connection:
        with closing_cursor(connection.cursor("left_half_read")) as cursor:
            cursor.itersize = 10
            cursor.execute("SELECT generate_series(1, 1000)")
            assert cursor.fetchone() == (1,)
            assert connection.execute("SELECT name FROM pg_cursors").fetchall() == [("left_half_read",)]
        assert connection.execute("SELECT name FROM pg_cursors").fetchall() == []


def test_closing_cursor_keeps_the_first_error() -> None:
    """If closing fails too, the block's exception is the one that leaves, with a note."""

    class Cursor:
        def close(self) -> None:
            raise OSError("connection lost")

    with pytest.raises(FailedHalfWay) as caught, closing_cursor(Cursor()):
        raise FailedHalfWay
    assert any("connection lost" in note for note in caught.value.__notes__)
    with pytest.raises(OSError, match="connection lost"), closing_cursor(Cursor()):
        pass


def test_closing_cursor_async() -> None:
    """``async with`` awaits an asynchronous close and takes a synchronous one."""
    closed: list[str] = []

    class AsyncCursor:
        async def close(self) -> None:
            await asyncio.sleep(0)
            closed.append("awaited")

    class SyncCursor:
        def close(self) -> None:
            closed.append("called")

    async def main() -> None:
        async with closing_cursor(AsyncCursor()):
            pass
        async with closing_cursor(SyncCursor()):
            pass

    asyncio.run(main())
    assert closed == ["awaited", "called"]
