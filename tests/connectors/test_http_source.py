"""The HTTP source: a whole body or an error."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from penstock.errors import SourceError
from tests.connectors.parts import SECRET, Cancellable, read_bytes, read_rows, source_of
from tests.core.threads import start
from tests.servers.http import HttpServer, Reply

DATA = b"a,b\n" + b"1,x\n" * 50_000


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A server that answers one request so, and closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = start(serve)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_is_read_whole(http_server: HttpServer, chunked: bool) -> None:
    """With a length or in chunks; as bytes and as rows."""
    http_server.reply("/x.csv", Reply(body=DATA, chunked=chunked))
    assert read_bytes(source_of(f"{http_server.url}/x.csv?v=1")) == DATA
    source = source_of(f"{http_server.url}/x.csv")
    assert len(read_rows(source)) == source.rows_read == 50_000
    assert http_server.requests[0].method == "GET"
    assert http_server.requests[0].headers["accept-encoding"] == "identity"


def test_a_compressed_file_is_decompressed(http_server: HttpServer) -> None:
    """By its name, like any file."""
    http_server.reply("/x.ndjson.gz", Reply(body=gzip.compress(b'{"a":1}\n')))
    assert read_rows(source_of(f"{http_server.url}/x.ndjson.gz")) == [{"a": 1}]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("cut_after", [0, 1000, len(DATA) - 1])
def test_a_cut_body_is_an_error(http_server: HttpServer, chunked: bool, cut_after: int) -> None:
    """A connection that ends before the body does is never taken for the end."""
    http_server.reply("/x.csv", Reply(body=DATA, chunked=chunked, cut_after=cut_after))
    with pytest.raises(SourceError, match="the server closed the connection") as caught:
        read_bytes(source_of(f"{http_server.url}/x.csv"))
    assert caught.value.transient
    assert str(caught.value).startswith(f"{http_server.url}/x.csv: ")


def test_a_cut_without_a_reset_is_an_error_too() -> None:
    """Content-Length promised more than came, and the connection ended politely."""
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\na,b\n1,2\n") as url:
        with pytest.raises(SourceError, match="closed the connection 992 bytes before the end"):
            read_bytes(source_of(f"{url}/x.csv"))


def test_a_body_without_an_end_mark_is_refused() -> None:
    """With neither length nor chunks, a cut could not be told from the end."""
    with answering(b"HTTP/1.0 200 OK\r\n\r\na,b\n1,2\n") as url:
        with pytest.raises(SourceError, match="neither a length nor chunks"):
            read_bytes(source_of(f"{url}/x.csv"))


def test_an_encoding_nobody_asked_for_is_refused() -> None:
    """It would reach the decoder as garbage."""
    body = gzip.compress(b"a\n1\n")
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with answering(head + body) as url:
        with pytest.raises(SourceError, match="gzip-encoded, which was not asked for"):
            read_bytes(source_of(f"{url}/x.csv"))


@pytest.mark.parametrize(
    ("status", "hint"), [(404, "is the path right?"), (401, "user name and password"), (500, "try again later")]
)
def test_a_refusal_is_an_error(http_server: HttpServer, status: int, hint: str) -> None:
    """With status, words and hint; without the password."""
    http_server.reply("/x.csv", Reply(status, body=b"no such thing"))
    with pytest.raises(SourceError) as caught:
        read_bytes(source_of(http_server.url.replace("//", f"//bob:{SECRET}@") + "/x.csv"))
    text = str(caught.value)
    assert f"answered {status}" in text
    assert "no such thing" in text
    assert hint in text
    assert SECRET not in text


def test_redirects_are_followed_without_the_password(http_server: HttpServer) -> None:
    """Relative and absolute; the authorization was for the first server."""
    http_server.reply("/x.csv", Reply(302, headers={"Location": "/y"}))
    http_server.reply("/y", Reply(307, headers={"Location": f"{http_server.url}/z?q=1"}))
    http_server.reply("/z", Reply(body=DATA))
    uri = http_server.url.replace("//", f"//bob:{SECRET}@") + "/x.csv"
    assert read_bytes(source_of(uri)) == DATA
    assert [request.target for request in http_server.requests] == ["/x.csv", "/y", "/z?q=1"]
    assert ["authorization" in request.headers for request in http_server.requests] == [True, False, False]


def test_redirects_in_a_circle_end(http_server: HttpServer) -> None:
    """After a few."""
    http_server.reply("/x.csv", Reply(302, headers={"Location": "/x.csv"}))
    with pytest.raises(SourceError, match="redirected too often"):
        read_bytes(source_of(f"{http_server.url}/x.csv"))
    assert len(http_server.requests) == 6


def test_a_refused_connection_is_said_clearly() -> None:
    """As for the sink."""
    with pytest.raises(SourceError, match="connection refused"):
        read_bytes(source_of("http://127.0.0.1:1/x.csv"))


def test_a_cancel_ends_the_wait(http_server: HttpServer) -> None:
    """For the answer, and in the middle of the body."""
    http_server.reply("/x.csv", Reply(body=DATA, hold="answer"))
    call = Cancellable(lambda: read_bytes(source_of(f"{http_server.url}/x.csv")))
    http_server.wait_until(lambda: len(http_server.requests) == 1)
    assert call.cancel() < 0.5
    http_server.release()


def test_a_cancel_ends_the_wait_for_more() -> None:
    """A server that stops in the middle of a body."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        call = Cancellable(lambda: read_bytes(source_of(f"http://127.0.0.1:{listener.getsockname()[1]}/x.csv")))
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\na,b\n")
            call.wait_still()
            assert call.cancel() < 0.5


def test_leaving_early_closes_the_connection(http_server: HttpServer) -> None:
    """A body of a gigabyte is not read to its end because somebody wanted its beginning."""
    http_server.reply("/x.csv", Reply(body=1 << 30))
    with source_of(f"{http_server.url}/x.csv").open_bytes("csv") as chunks:
        next(chunks)
    http_server.wait_until(lambda: http_server.open_connections == 0)
