"""The HTTP sink: one whole body or a cut one, an early answer heard at once, every failure named."""

from __future__ import annotations

import base64
import re
import socket
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest

import penstock
from penstock import connectors, formats
from penstock.core.pipe import pipe
from penstock.errors import BrokenError, ConfigurationError, SinkError, SourceError
from penstock.flow.contracts import Closable, Sink
from tests.connectors.parts import (
    SECRET,
    Cancellable,
    EndlessStream,
    Fails,
    Stream,
    cancelled_at_once,
    data_stream,
    open_descriptors,
    reading,
    silent_stream,
    sink_of,
)
from tests.connectors.tls import in_front_of, make_certificate
from tests.core.threads import start, wait_until
from tests.servers.http import Ending, HttpServer, Reply

DATA = b"0123456789" * 100_000


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody trusts by default."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(params=["http", "https"])
def address(request: pytest.FixtureRequest, http_server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The server's address, plain and behind TLS."""
    if request.param == "http":
        yield http_server.url
        return
    certificate = request.getfixturevalue("certificate")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with in_front_of(http_server.port, certificate) as port:
        yield f"https://127.0.0.1:{port}"


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No thread of the sink outlives a test."""
    yield
    assert [thread.name for thread in threading.enumerate() if "penstock" in thread.name] == []


@contextmanager
def raw_server(answer: bytes) -> Iterator[int]:
    """A server that says ``answer`` to whoever connects, then closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(answer)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass

        thread = start(serve)
        yield listener.getsockname()[1]
        thread.join()


# --- success ---


def test_the_whole_body_arrives_in_one_request(address: str, http_server: HttpServer) -> None:
    """Chunked, with its media type and an idempotency key; the answer is in the receipt."""
    http_server.reply("/in", Reply(201, body=b"thanks"))
    receipt = sink_of(f"{address}/in?page=1").store(data_stream(DATA))
    (request,) = http_server.finished(1)
    assert (request.method, request.target, request.ending) == ("POST", "/in?page=1", Ending.COMPLETE)
    assert request.body == DATA
    assert request.headers["content-type"] == "text/csv"
    assert request.headers["transfer-encoding"] == "chunked"
    assert re.fullmatch(r"127\.0\.0\.1:\d+", request.headers["host"])
    assert "authorization" not in request.headers
    assert "content-encoding" not in request.headers
    assert receipt.bytes_stored == len(DATA)
    assert receipt.location == f"{address}/in?page=1"
    assert receipt.details["status"] == 201
    assert receipt.details["answer"] == "thanks"
    assert receipt.details["idempotency_key"] == request.headers["idempotency-key"]
    assert http_server.connections == 1


def test_an_empty_stream_is_an_empty_body(address: str, http_server: HttpServer) -> None:
    """Only the terminating chunk, which says that this was all."""
    sink_of(address).store(data_stream(b""))
    (request,) = http_server.finished(1)
    assert (request.ending, request.body_bytes) == (Ending.COMPLETE, 0)


def test_method_compression_and_credentials_become_headers(http_server: HttpServer) -> None:
    """PUT on request; compression as content encoding; user and password, decoded, as basic authorization."""
    uri = http_server.url.replace("//", f"//b%40b:{SECRET}%2F@")
    sink = sink_of(f"{uri}/in", method="put", compression="gzip", media_type="application/x-ndjson")
    sink.store(data_stream(b"x"))
    (request,) = http_server.finished(1)
    assert request.method == "PUT"
    assert request.headers["content-encoding"] == "gzip"
    assert request.headers["content-type"] == "application/x-ndjson"
    kind, _, pair = request.headers["authorization"].partition(" ")
    assert (kind, base64.b64decode(pair).decode()) == ("Basic", f"b@b:{SECRET}/")


def test_every_sink_has_its_own_idempotency_key(http_server: HttpServer) -> None:
    """Two copies are two requests, not one repeated."""
    for _ in range(2):
        sink_of(http_server.url).store(data_stream(b"x"))
    first, second = http_server.finished(2)
    assert first.headers["idempotency-key"] != second.headers["idempotency-key"]


def test_check_connects_and_sends_nothing(http_server: HttpServer) -> None:
    """Looking is not asking: no request is made. The connection stays for store(), or until the sink is closed."""
    sink = sink_of(http_server.url)
    assert sink.check() is True
    http_server.wait_until(lambda: http_server.open_connections == 1)
    assert isinstance(sink, Closable)
    sink.close()
    sink.close()
    http_server.wait_until(lambda: http_server.connections == 1 and http_server.open_connections == 0)
    assert http_server.requests == []


def test_check_and_store_use_one_connection(address: str, http_server: HttpServer) -> None:
    """Plain and under TLS; afterwards it is closed."""
    sink = sink_of(address)
    assert sink.check() is True
    sink.store(data_stream(DATA))
    (request,) = http_server.finished(1)
    assert request.body == DATA
    http_server.wait_until(lambda: http_server.connections == 1 and http_server.open_connections == 0)


def test_a_connection_that_was_closed_meanwhile_is_made_again() -> None:
    """The source may take its time; a server need not wait for it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sink = sink_of(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        sink.check()
        listener.accept()[0].close()
        storing = start(sink.store, data_stream(b"x"))
        with listener.accept()[0] as connection, connection.makefile("rb") as received:
            while received.readline() != b"0\r\n":
                pass
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            assert storing.result().bytes_stored == 1


def test_a_whole_copy_uses_one_connection(http_server: HttpServer) -> None:
    """From check to store, through the engine; also where nothing is stored, none stays open."""
    assert penstock.copy([{"a": 1}], http_server.url, format="ndjson").rows == 1
    http_server.wait_until(lambda: http_server.connections == 1 and http_server.open_connections == 0)
    with pytest.raises(SourceError, match="no such file"):
        penstock.copy("absent.csv", http_server.url)
    http_server.wait_until(lambda: http_server.connections == 2 and http_server.open_connections == 0)


def test_headers_and_tokens_of_the_user_are_sent(http_server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """In all the ways they can be given; what the user says of the content counts."""
    monkeypatch.setenv("MY_TOKEN", SECRET)
    options = {"header.X-One": "1", "header": {"Content-Type": "text/special"}, "token_env": "MY_TOKEN"}
    sink_of(http_server.url, options=options).store(data_stream(b"x"))
    (request,) = http_server.finished(1)
    assert request.headers["x-one"] == "1"
    assert request.headers["content-type"] == "text/special"
    assert request.headers["authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"header": SECRET}, "the option 'header' is 'Name: value'"),
        ({"header.X": f"{SECRET}\r\nHost: evil"}, "the value of the header 'X' holds characters HTTP forbids"),
        ({"header": f"X Y: {SECRET}"}, "'X Y' can not be the name of a header"),
        ({"header.Transfer-Encoding": SECRET}, "the header 'Transfer-Encoding' is for penstock to set"),
        ({"token_env": "NOT_SET_ANYWHERE"}, "the environment variable 'NOT_SET_ANYWHERE' of token_env is not set"),
        ({"request_sise": SECRET}, "did you mean 'request_size'"),
        ({"retries": "5"}, "retries need request_size"),
        ({"header.X": None}, "the option 'header.X' has no value"),
        ({"header": {"X": None}}, "the option 'header.X' has no value"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], said: str) -> None:
    """With what is wrong, and without the value where that is a secret."""
    with pytest.raises(ConfigurationError, match=re.escape(said)) as caught:
        sink_of("http://host/", options=options)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_an_address_that_is_none_is_refused() -> None:
    """Half of a bracket, and a port that nobody has; the latter is not taken for the usual one."""
    with pytest.raises(ConfigurationError, match="not a well-formed address"):
        penstock.copy([{"a": 1}], "http://[::1", format="csv")
    with pytest.raises(SinkError, match=r"127\.0\.0\.1:0/: connection refused \(is anything listening on port 0\?\)"):
        sink_of("http://127.0.0.1:0/").check()


def test_backpressure_reaches_the_stream() -> None:
    """A server that does not read stops the reading of the stream."""
    with HttpServer(receive_buffer_bytes=65536) as server:
        server.reply("/", Reply(hold="body"))
        stream = EndlessStream()
        call = Cancellable(lambda: sink_of(server.url).store(reading(stream)))
        call.wait_still()
        assert stream.given < 32 << 20
        assert call.cancel() < 0.5


# --- a body that fails is cut ---


@pytest.mark.parametrize(
    "error", [Fails("half-way"), BrokenError("the encoder is gone"), OSError("of another"), KeyboardInterrupt()]
)
@pytest.mark.parametrize("sent", [b"", b"x" * 300_000])
def test_a_failing_stream_cuts_the_body(
    address: str, http_server: HttpServer, error: BaseException, sent: bytes
) -> None:
    """No terminating chunk: the server sees an aborted request, the caller the stream's own exception."""
    with pytest.raises(type(error)) as caught:
        sink_of(address).store(reading(Stream(sent, error) if sent else Stream(error)))
    assert caught.value is error
    (request,) = http_server.finished(1)
    assert request.ending is Ending.CUT
    http_server.wait_until(lambda: http_server.open_connections == 0)


def test_a_failing_stream_leaves_no_descriptor(http_server: HttpServer) -> None:
    """Socket, wake-up pipe, thread: all gone."""

    def fail(times: int) -> set[str]:
        with pytest.raises(Fails):
            sink_of(http_server.url).store(reading(Stream(b"x", Fails())))
        http_server.finished(times)
        http_server.wait_until(lambda: http_server.open_connections == 0)
        return open_descriptors()

    assert fail(1) == fail(2)


def test_a_cancel_while_waiting_for_data_cuts_the_body(address: str, http_server: HttpServer) -> None:
    """The server sees an aborted request at once, not when the data would have come."""
    with silent_stream() as stream:
        call = Cancellable(lambda: sink_of(address).store(stream))
        http_server.wait_until(lambda: len(http_server.requests) == 1)
        assert call.cancel() < 0.5
    (request,) = http_server.finished(1)
    assert request.ending is Ending.CUT


def test_a_cancel_while_the_server_does_not_read_cuts_the_body(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The blocked send wakes, plain and under TLS."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with HttpServer(receive_buffer_bytes=65536) as server, in_front_of(server.port, certificate) as port:
        server.reply("/", Reply(hold="body"))
        for number, uri in enumerate((server.url, f"https://127.0.0.1:{port}"), start=1):
            call = Cancellable(lambda uri=uri: sink_of(uri).store(reading(EndlessStream())))  # type: ignore[misc]
            server.wait_until(lambda number=number: len(server.requests) == number)  # type: ignore[misc]
            call.wait_still()  # of the handshake, too, one may think that it stands still
            assert call.cancel() < 0.5
        server.release()
        assert {request.ending for request in server.finished(2)} == {Ending.CUT}


def test_a_cancel_while_the_server_does_not_answer(address: str, http_server: HttpServer) -> None:
    """The wait for the answer wakes."""
    http_server.reply("/", Reply(hold="answer"))
    call = Cancellable(lambda: sink_of(address).store(data_stream(b"x")))
    wait_until(lambda: [request.ending for request in http_server.requests] == [Ending.COMPLETE])
    assert call.cancel() < 0.5
    http_server.release()


def test_a_cancel_while_connecting() -> None:
    """A listener whose backlog is full answers to no handshake."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = [_connecting(port) for _ in range(4)]
        call = Cancellable(lambda: sink_of(f"http://127.0.0.1:{port}/").check())
        call.wait_still()
        assert call.cancel() < 0.5
        for filler in fillers:
            filler.close()


def _connecting(port: int) -> socket.socket:
    filler = socket.socket()
    filler.setblocking(False)
    filler.connect_ex(("127.0.0.1", port))
    return filler


def test_a_cancel_during_the_handshake() -> None:
    """A server that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        call = Cancellable(lambda: sink_of(f"https://127.0.0.1:{listener.getsockname()[1]}/").check())
        connection, _ = listener.accept()
        call.wait_still()
        assert call.cancel() < 0.5
        connection.close()


def test_a_cancelled_scope_sends_nothing(http_server: HttpServer) -> None:
    """Not even a connection is made to a request."""
    cancelled_at_once(lambda: sink_of(http_server.url).store(data_stream(b"x")))
    assert http_server.requests == []


# --- a server that refuses ---


@pytest.mark.parametrize("then", ["drain", "stall", "reset"])
def test_an_early_answer_stops_the_reading(address: str, http_server: HttpServer, then: str) -> None:
    """A 413 in the middle is the error, with status and words, whatever the server does with the rest."""
    http_server.reply("/in", Reply(413, body=b"too much for us", after_bytes=100_000, then=then))  # type: ignore[arg-type]
    stream = EndlessStream()
    began = monotonic()
    with pytest.raises(SinkError) as caught:
        sink_of(f"{address}/in").store(reading(stream))
    assert monotonic() - began < 3
    assert stream.given < 64 << 20
    if then == "reset":  # which may destroy the answer, or its words, on the way
        pattern = r"answered 413 .* after \d+ bytes, before the end of the data|the server closed the connection after"
    else:
        pattern = r"answered 413 .* after \d+ bytes, before the end of the data: too much for us .it limits the size"
    assert re.search(pattern, str(caught.value))


def test_an_early_answer_is_heard_while_the_source_is_silent(address: str, http_server: HttpServer) -> None:
    """A refusal right after the head ends the wait for the first row."""
    http_server.reply("/in", Reply(401, body=b"who are you?", after_bytes=0))
    with silent_stream() as stream:
        began = monotonic()
        with pytest.raises(SinkError, match=r"answered 401 Unauthorized after 0 bytes.*who are you\?"):
            sink_of(f"{address}/in").store(stream)
        assert monotonic() - began < 2


def test_an_early_answer_is_heard_while_the_server_takes_nothing(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that answers and then neither reads nor closes does not block the sender, plain and under TLS."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with HttpServer(receive_buffer_bytes=65536) as server, in_front_of(server.port, certificate) as port:
        server.reply("/", Reply(413, after_bytes=1000, then="stall"))
        for uri in (server.url, f"https://127.0.0.1:{port}"):
            with pytest.raises(SinkError, match="answered 413"):
                sink_of(uri).store(reading(EndlessStream()))


def test_bytes_that_are_no_answer_do_not_disturb(
    http_server: HttpServer, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under TLS 1.3 the server's session tickets arrive while we wait for data; not a byte of that gets lost."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with in_front_of(http_server.port, certificate) as port:
        reader, writer = pipe()
        call = start(lambda: sink_of(f"https://127.0.0.1:{port}/").store(reading(reader)))
        for number in range(20):
            wait_until(lambda: reader.statistics().readers_waiting == 1 or call.done)
            writer.write(b"%d\n" % number)
        writer.close()
        assert call.result().bytes_stored == 50
        reader.close()
    (request,) = http_server.finished(1)
    assert (request.ending, request.body) == (Ending.COMPLETE, b"".join(b"%d\n" % number for number in range(20)))


def test_a_stream_without_read1_is_sent_too(http_server: HttpServer) -> None:
    """It is read in one piece after another, and answers are looked for in between."""

    class Plain:
        def __init__(self) -> None:
            self.stream = Stream(DATA)

        def read(self, size: int, /) -> bytes:
            return self.stream.read(size)

    sink_of(http_server.url).store(reading(Plain()))
    assert http_server.finished(1)[0].body == DATA
    http_server.reply("/in", Reply(413, after_bytes=1000))
    with pytest.raises(SinkError, match="answered 413"):
        sink_of(f"{http_server.url}/in").store(reading(EndlessStream()))


def test_success_before_the_end_is_no_success(address: str, http_server: HttpServer) -> None:
    """A 200 for half of the data must not pass for the whole."""
    http_server.reply("/in", Reply(200, after_bytes=1000))
    with pytest.raises(SinkError, match=r"answered 200 OK after \d+ bytes, before the end of the data"):
        sink_of(f"{address}/in").store(reading(EndlessStream()))


@pytest.mark.parametrize(
    ("status", "hint", "transient"),
    [
        (400, "are format and address right?", False),
        (401, "user name and password go into the address", False),
        (403, "these credentials may not do this", False),
        (404, "is the path right?", False),
        (405, "another method", False),
        (409, "it has this already", False),
        (415, "does not take this format", False),
        (418, "", False),
        (429, "try again later", True),
        (500, "the server failed; try again later", True),
        (503, "the server failed; try again later", True),
    ],
)
def test_a_refusal_at_the_end_is_an_error(http_server: HttpServer, status: int, hint: str, transient: bool) -> None:
    """Status, the server's words on one line, what to do, and whether trying again may help."""
    http_server.reply("/in", Reply(status, body=b"line one\r\n\tline two\x00" + b"." * 5000))
    with pytest.raises(SinkError) as caught:
        sink_of(f"{http_server.url}/in").store(data_stream(b"12345"))
    text = str(caught.value)
    assert text.startswith(f"{http_server.url}/in: the server answered {status} ")
    assert " to all 5 bytes: line one line two ." in text
    assert hint in text
    assert "\n" not in text
    assert len(text) < 600
    assert caught.value.transient is transient


def test_a_redirect_is_an_error_that_says_where_to() -> None:
    """The body is sent already; sending it elsewhere is for the user to decide."""
    with HttpServer() as server:
        server.reply("/in", Reply(308, headers={"Location": "https://elsewhere/in"}))
        with pytest.raises(SinkError, match=r"answered 308 .*it is now at https://elsewhere/in"):
            sink_of(f"{server.url}/in").store(data_stream(b"x"))


def test_a_server_that_goes_away_is_an_error(address: str, http_server: HttpServer) -> None:
    """In the middle of the body, without a word."""
    http_server.reply("/in", Reply(after_bytes=1000, cut_after=0, body=b"x"))
    with pytest.raises(SinkError, match=r"the server (closed the connection|answered 200)"):
        sink_of(f"{address}/in").store(reading(EndlessStream()))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "the server closed the connection after"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "not an HTTP answer"),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 5000\r\n\r\npartial", "answered 500 Oh after"),
    ],
)
def test_what_is_no_http_server_is_said_clearly(answer: bytes, said: str) -> None:
    """A wrong port is a wrong port."""
    with raw_server(answer) as port, silent_stream() as stream:
        with pytest.raises(SinkError) as caught:
            sink_of(f"http://127.0.0.1:{port}/").store(stream)
    assert said in str(caught.value)


def test_a_refused_connection_is_found_before() -> None:
    """check() and store() say it the same way: where, what, what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        for doing in (lambda sink: sink.check(), lambda sink: sink.store(data_stream(b"x"))):
            with pytest.raises(SinkError) as caught:
                doing(sink_of(f"http://bob:{SECRET}@127.0.0.1:{port}/in?token={SECRET}"))
            assert str(caught.value) == (
                f"http://***@127.0.0.1:{port}/in?token=***: connection refused (is anything listening on port {port}?)"
            )
            assert caught.value.transient
            assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_an_unknown_host_is_found_before() -> None:
    """The name is in the message."""
    with pytest.raises(SinkError, match=r"unknown host 'nowhere\.invalid' .is the name right"):
        sink_of("http://nowhere.invalid/").check()


def test_certificates_are_verified(http_server: HttpServer, certificate: Path) -> None:
    """A certificate nobody vouches for is refused, before any data or password is sent."""
    with in_front_of(http_server.port, certificate) as port:
        with pytest.raises(SinkError, match="TLS: self-signed certificate"):
            sink_of(f"https://bob:{SECRET}@127.0.0.1:{port}/").check()
    assert http_server.requests == []


def test_the_name_on_the_certificate_is_verified(
    http_server: HttpServer, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is for 127.0.0.1, and nobody else."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with in_front_of(http_server.port, certificate) as port:
        with pytest.raises(SinkError, match="TLS: Hostname mismatch"):
            sink_of(f"https://localhost:{port}/").check()


def test_https_to_a_plain_server_is_said_clearly(http_server: HttpServer) -> None:
    """The likely mistake is named."""
    with pytest.raises(SinkError, match="does the server speak https on this port"):
        sink_of(http_server.url.replace("http:", "https:")).check()


def test_no_secret_is_shown(http_server: HttpServer) -> None:
    """Not in names, reprs, receipts, errors or their tracebacks."""
    http_server.reply("/in", Reply(403))
    sink = sink_of(http_server.url.replace("//", f"//bob:{SECRET}@") + f"/in?api_key={SECRET}")
    with pytest.raises(SinkError) as caught:
        sink.store(data_stream(b"x"))
    shown = [sink.display_name, repr(sink), repr(vars(sink)), *traceback.format_exception(caught.value)]
    assert SECRET not in "".join(shown)


def test_no_header_is_shown(
    http_server: HttpServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in what asks for the sink, nor in its repr, error, traceback or log."""
    monkeypatch.setenv("MY_TOKEN", SECRET)
    caplog.set_level(0)
    http_server.reply("/in", Reply(403))
    options = {"header.X-Key": SECRET, "token_env": "MY_TOKEN"}
    request = connectors.SinkRequest(
        uri=f"{http_server.url}/in?token={SECRET}", formats=formats, format_name="csv", options=options
    )
    sink = connectors.open_sink(request)
    assert isinstance(sink, Sink)
    with pytest.raises(SinkError) as caught:
        sink.store(data_stream(b"x"))
    shown = [repr(request), repr(sink), repr(vars(sink)), *traceback.format_exception(caught.value), caplog.text]
    assert SECRET not in "".join(shown)
