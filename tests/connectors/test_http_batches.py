"""Many requests instead of one: whole records in each, one connection for all, and the truth about what was accepted."""

from __future__ import annotations

import csv
import io
import json
import re
import socket
import traceback
from typing import Any

import pyarrow as pa
import pytest

import penstock
from penstock import Cancelled
from penstock.errors import ConfigurationError, SinkError
from penstock.flow.contracts import Receipt
from tests.connectors.parts import (
    SECRET,
    Cancellable,
    Fails,
    Stream,
    cancelled_at_once,
    data_stream,
    reading,
    silent_stream,
    sink_of,
)
from tests.core.threads import start, wait_until
from tests.servers.http import Ending, HttpServer, Reply

LINES = [b'{"id":%d}\n' % number for number in range(1000)]
DATA = b"".join(LINES)
PER_REQUEST = "1200"  # bytes, so that there are ten
BUSY = Reply(503, headers={"Retry-After": "0"}, body=b"not now")


def batch_sink(url: str, *, size: str = PER_REQUEST, **given: Any) -> Any:
    """A sink of NDJSON."""
    options = {"request_size": size, **given.pop("options", {})}
    given = {"format_name": "ndjson", "media_type": "application/x-ndjson", **given}
    return sink_of(url, options=options, **given)


def test_ten_requests_use_one_connection(http_server: HttpServer) -> None:
    """Each has a length, whole records, and a key of its own; together they are what was sent."""
    sink = batch_sink(f"{http_server.url}/in?x=1")
    assert sink.check() is True
    receipt: Receipt = sink.store(data_stream(DATA))
    requests = http_server.finished(10)
    assert (len(requests), http_server.connections) == (10, 1)
    assert b"".join(request.body for request in requests) == DATA
    for request in requests:
        assert (request.method, request.target, request.ending) == ("POST", "/in?x=1", Ending.COMPLETE)
        assert int(request.headers["content-length"]) == len(request.body) <= 1200
        assert "transfer-encoding" not in request.headers
        assert request.headers["content-type"] == "application/x-ndjson"
        assert request.body.endswith(b"}\n")
    keys = [request.headers["idempotency-key"] for request in requests]
    stem = keys[0].removesuffix("-1")
    assert re.fullmatch(r"[0-9a-f-]{36}", stem)
    assert keys == [f"{stem}-{number}" for number in range(1, 11)]
    assert receipt == Receipt(f"{http_server.url}/in?x=1", len(DATA), {"requests": 10, "idempotency_key": f"{stem}-*"})
    http_server.wait_until(lambda: http_server.open_connections == 0)


@pytest.mark.parametrize("format_name", ["ndjson", "csv", "tsv", "json"])
def test_every_request_is_data_of_its_own(http_server: HttpServer, format_name: str) -> None:
    """Of a copy in each of the formats: CSV with its header, JSON as an array."""
    table = pa.table({"id": range(500), "text": ['with "quotes",\n and lines'] * 500})
    options = {"request_size": "4KiB"}
    report = penstock.copy(table, http_server.url, format=format_name, destination_options=options)
    assert report.rows == 500
    http_server.wait_until(lambda: http_server.open_connections == 0)  # the last one has been answered, and then noted
    requests = http_server.finished(2)
    assert len(requests) > 4
    assert http_server.connections == 1
    found: list[Any] = []
    for request in requests:
        assert request.body_bytes <= 4096
        text = request.body.decode()
        if format_name == "ndjson":
            found += map(json.loads, text.splitlines())
        elif format_name == "json":
            found += json.loads(text)
        else:
            found += csv.DictReader(io.StringIO(text, newline=""), delimiter="\t" if format_name == "tsv" else ",")
    assert [int(row["id"]) for row in found] == list(range(500))
    assert {row["text"] for row in found} == {'with "quotes",\n and lines'}


def test_without_a_record_nothing_is_sent(http_server: HttpServer) -> None:
    """A header alone is no data."""
    for format_name, data in (("ndjson", b""), ("csv", b"a,b\n"), ("json", b"[\n]\n")):
        receipt = batch_sink(http_server.url, format_name=format_name).store(data_stream(data))
        assert (receipt.bytes_stored, receipt.details["requests"]) == (0, 0)
    assert http_server.requests == []


def test_a_record_that_is_larger_goes_alone(http_server: HttpServer) -> None:
    """It is for the server to say whether that is too much."""
    wide = b'{"x":"' + b"x" * 5000 + b'"}\n'
    batch_sink(http_server.url).store(data_stream(LINES[0] + wide + LINES[1]))
    assert [request.body for request in http_server.finished(3)] == [LINES[0], wide, LINES[1]]


# --- again ---


def test_a_request_is_sent_again(http_server: HttpServer) -> None:
    """With the same key, when the server is busy or fails, over the same connection; a lost one is made again."""
    replies = [Reply(), BUSY, Reply(429, headers={"Retry-After": "0"}), Reply(500, headers={"Retry-After": "0"})]
    http_server.reply(
        "/", *replies, Reply(hang_up=True), Reply(), Reply(after_bytes=0, then="reset", status=503), Reply()
    )
    receipt = batch_sink(http_server.url).store(data_stream(DATA))
    requests = http_server.finished(15)
    keys = [int(request.headers["idempotency-key"].rpartition("-")[2]) for request in requests]
    assert keys == [1, 2, 2, 2, 2, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10]
    by_key = {request.headers["idempotency-key"]: request.body for request in requests if request.answered}
    assert b"".join(by_key.values()) == DATA
    assert receipt.details["requests"] == 10
    assert http_server.connections == 3


def test_a_kept_connection_that_was_closed_is_made_again() -> None:
    """A server may close it at any time; that is not a failure, and waits for nothing."""
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        storing = start(batch_sink(url, size="10", options={"retries": "1"}).store, data_stream(b"".join(LINES[:3])))
        for number in (b"0", b"1", b"2"):
            with listener.accept()[0] as connection:
                received = b""
                while not received.endswith(b'\r\n\r\n{"id":%b}\n' % number):
                    received += connection.recv(65536)
                connection.sendall(ok)
        assert storing.result().details["requests"] == 3


@pytest.mark.parametrize("status", [503, 500, 429])
def test_a_server_that_stays_busy_is_an_error(http_server: HttpServer, status: int) -> None:
    """It says which request, how often it was tried, and what was accepted before."""
    again = Reply(status, headers={"Retry-After": "0"}, body=b"not now")
    http_server.reply("/", Reply(), Reply(), again)
    with pytest.raises(SinkError) as caught:
        batch_sink(http_server.url, options={"retries": "2"}).store(data_stream(DATA))
    assert re.search(
        rf"request 3: 3 times in a row: the server answered {status} .* to \d+ bytes: not now "
        r"\(the 2 requests before were accepted, and stay\)",
        str(caught.value),
    )
    assert caught.value.transient
    assert len(http_server.finished(5)) == 5
    http_server.wait_until(lambda: http_server.open_connections == 0)


def test_a_refusal_is_not_tried_again(http_server: HttpServer) -> None:
    """Four hundred and something means: not like this."""
    http_server.reply("/", Reply(), Reply(422, body=b"no"))
    with pytest.raises(
        SinkError, match=r"request 2: the server answered 422 .*the request before was accepted, and stays"
    ):
        batch_sink(http_server.url).store(data_stream(DATA))
    assert len(http_server.finished(2)) == 2


def test_an_early_refusal_is_heard(http_server: HttpServer) -> None:
    """A body is not sent to its end to somebody who has said no; nor does an early yes count."""
    for status, said in ((413, "answered 413"), (200, "answered 200 OK before the end of")):
        http_server.reply("/", Reply(status, after_bytes=10, then="stall"))
        sink = batch_sink(http_server.url, size="64MiB")
        with pytest.raises(SinkError, match=said):
            sink.store(data_stream(LINES[0] * 6_000_000))
    http_server.wait_until(lambda: http_server.open_connections == 0)


def test_nobody_is_asked_again_who_was_never_there() -> None:
    """A wrong port is told at once."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(SinkError, match=r"request 1: connection refused \(nothing was accepted before\)"):
            batch_sink(f"http://127.0.0.1:{taken.getsockname()[1]}/").store(data_stream(DATA))


# --- data that fails ---


def test_a_stream_that_fails_says_what_stays(http_server: HttpServer) -> None:
    """Its own exception, with a note; the records after the last whole request are not sent."""
    error = Fails("half-way")
    with pytest.raises(Fails) as caught:
        batch_sink(http_server.url).store(reading(Stream(DATA, error)))
    assert caught.value is error
    assert error.__notes__ == [f"{http_server.url}: the 9 requests before were accepted, and stay"]
    assert b"".join(request.body for request in http_server.finished(9)) == b"".join(
        LINES[: DATA[:10_800].count(b"\n")]
    )


def test_a_cancel_ends_every_wait(http_server: HttpServer) -> None:
    """For data, for an answer, and between two attempts; a note says what stays."""
    with silent_stream() as stream:
        call = Cancellable(lambda: batch_sink(http_server.url).store(stream))
        call.wait_still()
        assert call.cancel() < 0.5
    http_server.reply("/", Reply(), Reply(hold="answer"))
    notes: list[str] = []

    def store() -> None:
        try:
            batch_sink(http_server.url).store(data_stream(DATA))
        except Cancelled as cancelled:
            notes.extend(cancelled.__notes__)
            raise

    call = Cancellable(store)
    wait_until(lambda: [request.ending for request in http_server.requests] == [Ending.COMPLETE] * 2)
    assert call.cancel() < 0.5
    assert notes == [f"{http_server.url}: the request before was accepted, and stays"]
    http_server.release()
    cancelled_at_once(lambda: batch_sink(http_server.url).store(data_stream(DATA)))


def test_a_cancel_ends_the_wait_for_a_busy_server(http_server: HttpServer, caplog: pytest.LogCaptureFixture) -> None:
    """However long it wanted us to wait."""
    http_server.reply("/", Reply(503, headers={"Retry-After": "60"}))
    call = Cancellable(lambda: batch_sink(http_server.url).store(data_stream(DATA)))
    wait_until(lambda: "trying again in 1 min" in caplog.text)
    assert call.cancel() < 0.5


# --- what is refused ---


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"format_name": "parquet"},
            "request_size can not split parquet; it can split ndjson, csv, tsv, json, in their usual form",
        ),
        ({"compression": "gzip"}, "needs --compression none"),
        ({"format_name": "csv", "dialect": "csv(header=False)"}, r"request_size can not split csv\(header=False\)"),
        ({"format_name": "csv", "dialect": 'csv(quote="\'")'}, "request_size can not split csv"),
        ({"options": {"request_size": "much"}}, "is not a size"),
        ({"options": {"retries": "-1"}}, "must be a whole number"),
    ],
)
def test_what_can_not_be_is_refused(given: dict[str, Any], said: str) -> None:
    """Before anything is opened."""
    with pytest.raises(ConfigurationError, match=said):
        batch_sink("http://host/", **given)


def test_no_secret_is_shown(http_server: HttpServer, caplog: pytest.LogCaptureFixture) -> None:
    """Not in the sink, its errors, notes, tracebacks or the log."""
    caplog.set_level(0)
    http_server.reply("/in", Reply(), BUSY, Reply(403))
    uri = http_server.url.replace("//", f"//bob:{SECRET}@") + f"/in?token={SECRET}"
    sink = batch_sink(uri, options={"header.X-Key": SECRET})
    with pytest.raises(SinkError, match="answered 403") as caught:
        sink.store(data_stream(DATA))
    shown = [repr(sink), repr(vars(sink)), *traceback.format_exception(caught.value), caplog.text]
    assert SECRET not in "".join(shown)
    assert http_server.requests[0].headers["x-key"] == SECRET


def test_a_request_fits_into_memory(http_server: HttpServer) -> None:
    """It is held whole, so one that ``max_memory`` has no room for is refused before anything is read."""
    rows = [{"a": 1}]
    with pytest.raises(ConfigurationError, match=r"request_size 11\.0 MiB does not fit .* room for 10\.0 MiB"):
        penstock.copy(rows, http_server.url, max_memory="32MiB", destination_options={"request_size": "11MiB"})
    penstock.copy(rows, http_server.url, max_memory="32MiB", destination_options={"request_size": "10MiB"})
    assert len(http_server.requests) == 1
