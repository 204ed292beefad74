"""The HTTP source: a whole body or an error."""

from __future__ import annotations

import gzip
import socket
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from penstock import connectors, formats
from penstock.errors import ConfigurationError, SourceError
from penstock.flow.contracts import Describable
from tests.connectors.parts import SECRET, Cancellable, read_bytes, read_rows, source_of
from tests.core.threads import start, wait_until
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


def test_an_answer_of_two_lengths_is_refused() -> None:
    """Whichever is wrong, half of the data would look like the whole; one that is said twice is one."""
    body = b"\r\nContent-Type: text/csv\r\n\r\na\n1\n2\n"
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 6" + body) as url:
        with pytest.raises(SourceError, match=r"not an HTTP answer: .*it has more than one Content-Length"):
            read_rows(source_of(url))
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nContent-Length: 6" + body) as url:
        assert len(read_rows(source_of(url))) == 2


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


def test_redirects_keep_the_password_to_the_server_it_is_for(http_server: HttpServer) -> None:
    """Relative and absolute ones lead on, over the same connection; another server is not told who we are."""
    with HttpServer() as other:
        http_server.reply("/x.csv", Reply(302, headers={"Location": "/y"}, body=b"see there"))
        http_server.reply("/y", Reply(307, headers={"Location": f"{http_server.url}/z?q=1"}))
        http_server.reply("/z", Reply(301, headers={"Location": f"{other.url}/a b/\u00e9"}))
        other.reply("*", Reply(body=DATA))
        uri = http_server.url.replace("//", f"//bob:{SECRET}@") + "/x.csv"
        assert read_bytes(source_of(uri, options={"header.X-Key": SECRET})) == DATA
        assert [request.target for request in http_server.requests] == ["/x.csv", "/y", "/z?q=1"]
        assert ["authorization" in request.headers for request in http_server.requests] == [True, True, True]
        assert http_server.connections == 1
        (elsewhere,) = other.requests
        assert elsewhere.target == "/a%20b/%C3%A9"
        assert "authorization" not in elsewhere.headers
        assert "x-key" not in elsewhere.headers


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


@pytest.mark.parametrize(
    ("content_type", "body", "rows"),
    [
        ("text/csv; charset=utf-8", b"a,b\n1,x\n", [{"a": "1", "b": "x"}]),
        ("Application/X-NDJSON", b'{"a":1}\n', [{"a": 1}]),
        ("application/json", b'[{"a":1},\n{"a":2}]', [{"a": 1}, {"a": 2}]),
        ("application/hal+json", b'[{"a":1}]', [{"a": 1}]),
        ("text/tab-separated-values", b"a\tb\n1\tx\n", [{"a": "1", "b": "x"}]),
    ],
)
def test_the_content_type_tells_the_format(
    http_server: HttpServer, content_type: str, body: bytes, rows: list[dict[str, object]]
) -> None:
    """Where the address does not; one request finds out and reads."""
    http_server.reply("/export", Reply(body=body, headers={"Content-Type": content_type}))
    source = source_of(f"{http_server.url}/export")
    assert source.byte_formats == frozenset()
    assert read_rows(source) == rows
    assert source.rows_read == len(rows)
    assert len(http_server.requests) == 1


@pytest.mark.parametrize(("headers", "said"), [({}, "gives no content type"), ({"Content-Type": "text/html"}, "html")])
def test_a_format_that_nothing_tells_is_an_error(http_server: HttpServer, headers: dict[str, str], said: str) -> None:
    """It says what the server said, and what to do."""
    http_server.reply("/export", Reply(body=b"<html>", headers=headers))
    with pytest.raises(SourceError, match=rf"the address does not tell the format.*{said}.*--source-format"):
        read_rows(source_of(f"{http_server.url}/export"))


def test_the_address_and_the_request_count_before_the_content_type(http_server: HttpServer) -> None:
    """Many servers say text/plain or application/octet-stream to whatever they have."""
    http_server.reply("*", Reply(body=b'{"a":1}\n', headers={"Content-Type": "text/csv"}))
    assert read_rows(source_of(f"{http_server.url}/x.ndjson")) == [{"a": 1}]
    assert read_rows(source_of(f"{http_server.url}/x", format="ndjson")) == [{"a": 1}]


@pytest.mark.parametrize("chunked", [False, True])
def test_the_server_compresses_if_it_may(http_server: HttpServer, chunked: bool) -> None:
    """And only then."""
    body = gzip.compress(DATA)
    http_server.reply("/x.csv", Reply(body=body, headers={"Content-Encoding": "gzip"}, chunked=chunked))
    assert read_bytes(source_of(f"{http_server.url}/x.csv", options={"accept_encoding": "gzip"})) == DATA
    assert http_server.requests[0].headers["accept-encoding"] == "gzip"
    with pytest.raises(SourceError, match=r"gzip-encoded, which was not asked for .*accept_encoding=gzip"):
        read_bytes(source_of(f"{http_server.url}/x.csv"))


def test_a_compressed_body_that_is_cut_is_an_error(http_server: HttpServer) -> None:
    """The server says it is whole; the compression knows that it is not."""
    body = gzip.compress(DATA)[:-20]
    http_server.reply("/x.csv", Reply(body=body, headers={"Content-Encoding": "gzip"}))
    with pytest.raises(SourceError, match=r"/x\.csv: "):
        read_bytes(source_of(f"{http_server.url}/x.csv", options={"accept_encoding": "gzip"}))


def test_a_busy_server_is_asked_again(http_server: HttpServer) -> None:
    """After as long as it says, over the same connection."""
    busy = [Reply(status, headers={"Retry-After": "0"}, body=b"not now") for status in (503, 429, 504)]
    http_server.reply("/x.csv", *busy, Reply(body=DATA))
    assert read_bytes(source_of(f"{http_server.url}/x.csv")) == DATA
    assert (len(http_server.requests), http_server.connections) == (4, 1)


def test_a_server_that_stays_busy_is_an_error(http_server: HttpServer) -> None:
    """Which says how often it was asked."""
    http_server.reply("/x.csv", Reply(503, headers={"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}))
    with pytest.raises(SourceError, match=r"3 times in a row: the server answered 503 Service Unavailable") as caught:
        read_bytes(source_of(f"{http_server.url}/x.csv", options={"retries": 2}))
    assert len(http_server.requests) == 3
    assert caught.value.transient
    with pytest.raises(SourceError, match=r"csv: the server answered 503 Service Unavailable \("):
        read_bytes(source_of(f"{http_server.url}/x.csv", options={"retries": "0"}))


@pytest.mark.parametrize(("wish", "said"), [("3600", "in 1 h 00 min"), ("9" * 400, "in 8760 h")])
def test_nobody_waits_for_hours(http_server: HttpServer, wish: str, said: str) -> None:
    """A server that wants an hour of peace is told of at once; so is one that writes no sensible number."""
    http_server.reply("/x.csv", Reply(429, headers={"Retry-After": wish}))
    with pytest.raises(SourceError, match=f"wants to be asked again {said}"):
        read_bytes(source_of(f"{http_server.url}/x.csv"))
    assert len(http_server.requests) == 1


def test_a_cancel_ends_the_wait_for_a_busy_server(http_server: HttpServer, caplog: pytest.LogCaptureFixture) -> None:
    """At once, whatever the server said."""
    http_server.reply("/x.csv", Reply(503, headers={"Retry-After": "60"}))
    call = Cancellable(lambda: read_bytes(source_of(f"{http_server.url}/x.csv")))
    wait_until(lambda: "trying again in 1 min" in caplog.text)
    assert call.cancel() < 0.5


def test_a_web_page_is_not_taken_for_data(http_server: HttpServer) -> None:
    """A form to log in at the address of a table is an error, as bytes and as rows; unless the user says the format."""
    form = b"<html><body>Please log in</body></html>\n"
    http_server.reply("/login", Reply(body=form, headers={"Content-Type": "Text/HTML; charset=utf-8"}))
    http_server.reply("/x.csv", Reply(302, headers={"Location": "/login"}))
    uri = f"{http_server.url}/x.csv"
    for read in (read_bytes, read_rows):
        with pytest.raises(
            SourceError, match=r"/login: the server sent a web page .*is a login needed\? .*--source-format"
        ):
            read(source_of(uri))
    assert read_bytes(source_of(uri, format="csv")) == form


def test_what_it_would_read_is_described(http_server: HttpServer) -> None:
    """From the beginning of the body; the rest is not fetched."""
    http_server.reply("/x.csv", Reply(body=b"a,b\n" + b"1,x\n" * 5_000_000))
    source = source_of(f"{http_server.url}/x.csv")
    assert isinstance(source, Describable)
    described = source.describe(None)
    assert [(column.name, column.arrow_type) for column in described.columns] == [("a", "string"), ("b", "string")]
    assert described.estimated_bytes == 20_000_004
    assert described.reading.startswith("GET, ")
    http_server.wait_until(lambda: http_server.open_connections == 0)
    http_server.reply("/y", Reply(body=b'[{"a":1}]', headers={"Content-Type": "application/json"}))
    source = source_of(f"{http_server.url}/y")
    assert isinstance(source, Describable)
    assert [column.arrow_type for column in source.describe(None).columns] == ["int64"]
    assert read_rows(source) == [{"a": 1}]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"retries": "many"}, "must be a whole number"),
        ({"accept_encoding": "br"}, "it may be identity, gzip, zstd"),
        ({"records": "data"}, "records is for pages"),
        ({"nxt": "link"}, "unknown option 'nxt'"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, str], said: str) -> None:
    """Before anything is asked."""
    with pytest.raises(ConfigurationError, match=said):
        source_of("http://host/x.csv", options=options)


def test_no_secret_is_shown(
    http_server: HttpServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in the request, the source, its errors, their tracebacks or the log."""
    monkeypatch.setenv("MY_TOKEN", SECRET)
    caplog.set_level(0)
    http_server.reply("/x.csv", Reply(503, headers={"Retry-After": "0"}), Reply(404))
    request = connectors.SourceRequest(
        uri=http_server.url.replace("//", f"//bob:{SECRET}@") + f"/x.csv?sig={SECRET}",
        formats=formats,
        options={"header.X-Key": SECRET, "token_env": "MY_TOKEN"},
    )
    source = connectors.open_source(request)
    with pytest.raises(SourceError) as caught:
        read_bytes(source)
    shown = [repr(request), repr(source), repr(vars(source)), *traceback.format_exception(caught.value), caplog.text]
    assert SECRET not in "".join(shown)
    assert http_server.requests[0].headers["authorization"] == f"Bearer {SECRET}"
