"""Interim answers (100, 102, 103) that nobody asked for: the request goes on, and the last answer is the one that counts."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from penstock.connectors.http._interim import may_be_interim, without_interim
from penstock.core.pipe import pipe
from penstock.errors import SinkError
from tests.connectors.parts import data_stream, read_rows, reading, sink_of, source_of
from tests.core.threads import Running, start
from tests.servers._http_wire import RequestReader

INTERIM = [
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 102 Processing\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n",
]
CREATED = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok"
TOO_LARGE = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n"
LINES = b"1234567\n" * 2_500_000  # more than the kernel holds between two sockets
ONE: dict[str, str] = {}
MANY = {"request_size": "32MiB"}


@contextmanager
def serving(serve: Callable[[socket.socket, RequestReader], bytes]) -> Iterator[tuple[str, Running[bytes]]]:
    """The address of a server for one connection, and what ``serve`` makes of that."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> bytes:
            connection, _ = listener.accept()
            with connection:
                return serve(connection, RequestReader(connection))

        yield f"http://127.0.0.1:{listener.getsockname()[1]}/in", start(accept)


def ndjson_to(uri: str, options: dict[str, str], data: bytes = LINES) -> object:
    """Send lines, in one request or in requests of a size."""
    sink = sink_of(uri, format_name="ndjson", media_type="application/x-ndjson", options=options)
    return sink.store(data_stream(data)).details.get("status")


@pytest.mark.parametrize("interim", INTERIM, ids=["100", "102", "103"])
@pytest.mark.parametrize("options", [ONE, MANY], ids=["one", "many"])
def test_an_interim_answer_is_no_answer(interim: bytes, options: dict[str, str]) -> None:
    """In pieces, before the server takes any of the body, and once more behind all of it."""

    def serve(connection: socket.socket, reader: RequestReader) -> bytes:
        head = reader.head()
        assert head is not None
        for piece in (interim[:3], interim[3:12], interim[12:-1], interim[-1:] + interim):
            connection.sendall(piece)
        body = b"".join(reader.body(head.headers))
        connection.sendall(interim + CREATED)
        return body

    with serving(serve) as (uri, server):
        assert ndjson_to(uri, options) == (None if options else 201)
        assert server.result() == LINES


@pytest.mark.parametrize("options", [ONE, MANY], ids=["one", "many"])
def test_a_refusal_behind_an_interim_answer_is_heard(options: dict[str, str]) -> None:
    """At once, though the server takes nothing of the body."""

    def serve(connection: socket.socket, reader: RequestReader) -> bytes:
        reader.head()
        connection.sendall(INTERIM[0] + TOO_LARGE)
        connection.recv(1, socket.MSG_PEEK | socket.MSG_WAITALL)
        return b""

    with serving(serve) as (uri, _server), pytest.raises(SinkError, match="answered 413"):
        ndjson_to(uri, options)


def test_an_interim_answer_while_the_source_is_silent() -> None:
    """It wakes the wait for the first row, which then goes on."""
    reader_end, writer = pipe()

    def serve(connection: socket.socket, reader: RequestReader) -> bytes:
        head = reader.head()
        assert head is not None
        connection.sendall(INTERIM[1])
        with writer:
            writer.write(b"a\n1\n")
        body = b"".join(reader.body(head.headers))
        connection.sendall(CREATED)
        return body

    with serving(serve) as (uri, server), reader_end:
        sink_of(uri).store(reading(reader_end))
        assert server.result() == b"a\n1\n"


def test_reading_passes_over_them() -> None:
    """A GET is answered by the answer behind them."""

    def serve(connection: socket.socket, reader: RequestReader) -> bytes:
        reader.head()
        connection.sendall(b"".join(INTERIM) + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\na\n1\n")
        return b""

    with serving(serve) as (uri, _server):
        assert read_rows(source_of(uri, format="csv")) == [{"a": "1"}]


@pytest.mark.parametrize(
    ("received", "rest", "may_be"),
    [
        (b"", b"", True),
        (b"HTT", b"HTT", True),
        (b"HTTP/1.1 10", b"HTTP/1.1 10", True),
        (b"".join(INTERIM), b"", True),
        (INTERIM[2][:-1], INTERIM[2][:-1], True),
        (INTERIM[0] + CREATED, CREATED, False),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\n\r\n", False),
        (b"SSH-2.0-x\r\n", b"SSH-2.0-x\r\n", False),
        (b"HTTP/1.1 102 " + b"x" * 70_000, b"HTTP/1.1 102 " + b"x" * 70_000, False),
    ],
)
def test_what_is_interim(received: bytes, rest: bytes, may_be: bool) -> None:
    """A beginning may become one; another protocol, another status and a head without end are none."""
    assert without_interim(received) == rest
    assert may_be_interim(rest) is may_be
