"""Unread HTTP responses, and the connections behind them, which are told of only once."""

from __future__ import annotations

import asyncio
import http.client
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from penstock.core.closing import draining
from penstock.leaks._finders.descriptors import DescriptorFinder
from penstock.leaks._finders.resources import ResponseFinder
from penstock.leaks._report.model import Leak
from tests.core.subprocesses import run_python
from tests.core.threads import start
from tests.leaks.finding import Look

BODY_BYTES = 16 << 20  # more than fits into the buffers on the way
SECRET = "geheim"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """An address of a server in a process of its own: this one has nothing but the client's side."""
    command = [sys.executable, "-m", "tests.leaks.corpus.http_service", str(BODY_BYTES)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        yield f"{service.stdout.readline().strip()}/rows"
        service.communicate()  # the end of its input is its own


@dataclass
class Client:
    """One HTTP library: how to send, and how a body is read."""

    get: Callable[[str], Any]
    read: Callable[[Any, int | None], Any]


@contextmanager
def http_client() -> Iterator[Client]:
    with ExitStack() as stack:

        def get(url: str) -> http.client.HTTPResponse:
            host, _, path = url.removeprefix("http://").partition("/")
            connection = http.client.HTTPConnection(host)
            stack.callback(connection.close)
            connection.request("GET", f"/{path}")
            return connection.getresponse()

        yield Client(get, lambda response, size: response.read(size))


@contextmanager
def urllib_request() -> Iterator[Client]:
    yield Client(urllib.request.urlopen, lambda response, size: response.read(size))


@contextmanager
def urllib3_client() -> Iterator[Client]:
    urllib3 = pytest.importorskip("urllib3", reason="urllib3 is not installed")
    with urllib3.PoolManager() as pool:
        yield Client(
            lambda url: pool.request("GET", url, preload_content=False), lambda response, size: response.read(size)
        )


@contextmanager
def requests_client() -> Iterator[Client]:
    requests = pytest.importorskip("requests", reason="requests is not installed")
    with requests.Session() as session:
        session.trust_env = False
        yield Client(lambda url: session.get(url, stream=True), lambda response, size: response.raw.read(size))


def read_httpx(response: Any, size: int | None) -> None:
    if size is None:
        response.read()
    else:
        response.kept = response.iter_raw(size)  # dropped, it would close the response
        next(response.kept)


@contextmanager
def httpx_client() -> Iterator[Client]:
    httpx = pytest.importorskip("httpx", reason="httpx is not installed")
    with httpx.Client(trust_env=False) as client:
        yield Client(lambda url: client.send(client.build_request("GET", url), stream=True), read_httpx)


CLIENTS = {
    "http.client": http_client,
    "urllib.request": urllib_request,
    "urllib3": urllib3_client,
    "requests": requests_client,
    "httpx": httpx_client,
}
EVERY_CLIENT = pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS.keys())
POOLING = pytest.mark.parametrize("client", [urllib3_client, requests_client, httpx_client])


# -- what is found


@EVERY_CLIENT
@pytest.mark.parametrize("size", [0, 10], ids=["unread", "half read"])
def test_an_unread_response_is_one_leak(client: Callable[[], Any], size: int, url: str) -> None:
    """One report for the response, and none for those it wraps and the socket it reads from."""
    with client() as using:
        look = Look(ResponseFinder(), DescriptorFinder())
        response = using.get(f"{url}?token={SECRET}")
        if size:
            using.read(response, size)
        leak = look.leak()
        assert leak.kind == "response"
        assert leak.name.startswith("GET ")
        assert leak.name.endswith("body not read to its end")
        assert "penstock.draining(response)" in leak.fix
        assert leak.started_at is not None
        assert any("'response'" in holder for holder in leak.holders), leak.holders
        assert SECRET not in str(leak.to_dict())
        if client is not http_client:  # which has the path only, and that of the request
            assert url in leak.name
        response.close()
        assert [leak.kind for leak in look.leaks()] == (["socket"] if client is http_client else [])


@EVERY_CLIENT
def test_a_response_that_was_read_to_its_end_is_none(client: Callable[[], Any], url: str) -> None:
    """Nobody has to close a response that was read to its end."""
    with client() as using:
        look = Look(ResponseFinder())
        response = using.get(url)
        using.read(response, None)
        assert look.leaks() == []


@EVERY_CLIENT
def test_draining_is_the_remedy_it_is_said_to_be(client: Callable[[], Any], url: str) -> None:
    """After the block that the report recommends, nothing is left."""
    with client() as using:
        look = Look(ResponseFinder())
        with draining(using.get(url)):
            assert len(look.stragglers()) == 1
        assert look.leaks() == []


def test_a_response_made_before_is_passed_over(url: str) -> None:
    """Only what was made since the snapshot is reported."""
    with urllib_request() as client:
        before = Look(ResponseFinder())  # from now on responses are noted
        with client.get(url):
            assert Look(ResponseFinder()).leaks() == []
            assert len(before.leaks()) == 1


def test_a_response_that_is_waited_for_is_no_unread_one() -> None:
    """Before the head has come there is no body to be read: that is the wait of whoever has sent the request."""
    look = Look(ResponseFinder())
    a, b = socket.socketpair()
    with a, b:
        waiting = http.client.HTTPResponse(a, method="GET")
        assert look.stragglers() == []
        b.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel")
        waiting.begin()
        assert len(look.leaks()) == 1
        b.sendall(b"lo")
        assert waiting.read(5) == b"hello"
        assert look.leaks() == []
        waiting.close()


def test_a_response_made_by_hand_is_none() -> None:
    """A response that a test has made for its own ends has no connection behind it."""
    httpx = pytest.importorskip("httpx", reason="httpx is not installed")
    look = Look(ResponseFinder())
    made = httpx.Response(200, content=iter([b"a", b"b"]))
    assert look.leaks() == []
    assert made.read() == b"ab"


# -- what is in order


def in_a_loop_over(response: Any, reading: threading.Event, done: threading.Event) -> None:
    for _ in response.stream(1000):
        reading.set()
        done.wait()
        break
    response.close()


def test_a_response_that_a_thread_is_reading_is_in_order_unless_the_thread_is_not(url: str) -> None:
    """A loop over a body in a thread that has not leaked goes on; in one that has, both are reported."""
    reading, done = threading.Event(), threading.Event()
    with urllib3_client() as client:
        look = Look(ResponseFinder())
        thread = start(lambda: in_a_loop_over(client.get(url), reading, done))
        reading.wait()
        leaked = Leak(kind="thread", name="x", fix="", identity=("thread", thread.thread.ident, 0))
        assert look.leaks() == []
        assert [leak.kind for leak in look.leaks([leaked])] == ["response"]
        done.set()
        thread.join()
        assert look.leaks() == []


@POOLING
def test_an_idle_connection_in_a_pool_is_in_order(client: Callable[[], Any], url: str) -> None:
    """A connection that was given back waits for the next request; one with an unread body does not."""
    look = Look(DescriptorFinder())
    with client() as using:
        first = using.get(url)
        using.read(first, None)
        assert len(look.stragglers()) == 1
        assert look.leaks() == []
        second = using.get(url)
        assert len(look.leaks()) == 1
        second.close()
    assert look.leaks() == []


def test_a_connection_without_a_pool_is_to_be_closed(url: str) -> None:
    """Nobody but its owner will use an http.client connection again."""
    look = Look(DescriptorFinder())
    with http_client() as client:
        response = client.get(url)
        response.read()
        leak = look.leak()
        assert leak.kind == "socket"
        assert "close the connection" in leak.fix
    assert look.leaks() == []


def test_a_library_imported_since_is_found_by_its_sockets(url: str) -> None:
    """Responses of a library that was imported after the snapshot are not noted; their sockets have the same remedy."""
    done = run_python(
        f"""
        from penstock.leaks import snapshot
        from penstock.leaks._finders.descriptors import DescriptorFinder
        from penstock.leaks._finders.resources import ResponseFinder

        def main():
            finder, watching = DescriptorFinder(), snapshot()
            since, at = finder.baseline(), ResponseFinder().baseline()
            import urllib.request
            response = urllib.request.urlopen({url!r})
            print(len(ResponseFinder().stragglers(at)))
            (straggler,) = finder.stragglers(since)
            print(straggler.serves(), straggler.leak(0.0).fix)
            response.close()

        main()
        """
    )
    found, told = done.stdout.splitlines()
    assert found == "0", done.stderr
    assert told.startswith("None read it to its end or close it"), done.stderr


# -- aiohttp, and httpx in tasks


@pytest.fixture
def aiohttp() -> Any:
    return pytest.importorskip("aiohttp", reason="aiohttp is not installed")


def test_an_unread_response_of_aiohttp_is_one_leak(aiohttp: Any, url: str) -> None:
    """The response is reported, with its remedy; the transport and socket behind it are not."""
    look = Look(ResponseFinder(), DescriptorFinder())

    async def main() -> list[Leak]:
        async with aiohttp.ClientSession() as session:
            response = await session.get(f"{url}?token={SECRET}")
            await response.content.readexactly(10)
            leaks = look.leaks()
            response.close()
            await asyncio.sleep(0)  # the transport closes its socket when the loop comes to it
            assert look.leaks() == []
        return leaks

    (leak,) = asyncio.run(main())
    assert leak.name == f"GET {url}, body not read to its end"
    assert "release()" in leak.fix
    assert SECRET not in str(leak.to_dict())
    assert look.leaks() == []


def test_an_idle_connection_of_aiohttp_is_in_order(aiohttp: Any, url: str) -> None:
    """A session keeps the connections of responses that were read."""
    look = Look(ResponseFinder(), DescriptorFinder())

    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            async with session.get(url) as response:
                await response.read()
            assert any(straggler.kind == "socket" for straggler in look.stragglers())
            assert look.leaks() == []

    asyncio.run(main())


def test_a_response_that_a_task_is_reading_is_in_order_unless_the_task_is_not(aiohttp: Any, url: str) -> None:
    """A loop over a body in a task that has not leaked goes on; in one that has, both are reported."""
    look = Look(ResponseFinder())

    async def read(session: Any, reading: asyncio.Event) -> None:
        async with session.get(url) as response:
            async for _ in response.content.iter_chunked(1000):
                reading.set()
                await asyncio.Event().wait()

    async def main() -> tuple[list[Leak], list[Leak]]:
        async with aiohttp.ClientSession() as session:
            reading = asyncio.Event()
            task = asyncio.create_task(read(session, reading))
            await reading.wait()
            leaked = Leak(kind="task", name="x", fix="", identity=("task", id(task)))
            found = look.leaks(), look.leaks([leaked])
            task.cancel()
            await asyncio.wait([task])
        return found

    in_order, with_its_task = asyncio.run(main())
    assert in_order == []
    assert [leak.kind for leak in with_its_task] == ["response"]


def test_an_unread_response_of_httpx_in_a_task_is_one_leak(url: str) -> None:
    """Asynchronous responses of httpx are found like the others, with the connection behind them."""
    httpx = pytest.importorskip("httpx", reason="httpx is not installed")
    look = Look(ResponseFinder(), DescriptorFinder())

    async def main() -> list[Leak]:
        async with httpx.AsyncClient(trust_env=False) as client:
            response = await client.send(client.build_request("GET", url), stream=True)
            leaks = look.leaks()
            await response.aclose()
            assert [leak for leak in look.leaks() if leak.kind == "response"] == []
        return leaks

    (leak,) = asyncio.run(main())
    assert (leak.kind, leak.name) == ("response", f"GET {url}, body not read to its end")
