"""The servers do what the other tests rely on; whoever doubts a fixture starts here."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import obstore
import psycopg
import pytest
from obstore.store import S3Store

from tests.servers._http_wire import generated_blocks
from tests.servers.http import Ending, HttpServer, Reply
from tests.servers.postgres import Installation, PostgresDatabase, PostgresServer, installations, run_postgres
from tests.servers.s3 import S3Error, S3Server

MEBIBYTE = 1024 * 1024
PART_BYTES = 5 * MEBIBYTE  # S3's smallest, and Swift's


# --- PostgreSQL -------------------------------------------------------------------------------------------------


@pytest.mark.service
@pytest.mark.parametrize("installation", installations(), ids=lambda found: found.origin)
def test_every_installation_found_here_starts_and_stops(installation: Installation) -> None:
    """Each PostgreSQL on this machine answers, and its process is gone when the block ends."""
    with run_postgres(installation) as server:
        [(version,)] = server.maintenance.execute("select version()")
        assert version.startswith("PostgreSQL ")
        assert Path(f"/proc/{server.pid}").exists()
    assert not Path(f"/proc/{server.pid}").exists()


def test_databases_are_apart(postgres: PostgresDatabase, postgres_server: PostgresServer) -> None:
    """A table made in one test's database is not in the next one's."""
    postgres.execute("create table only_here (n integer)")
    other = postgres_server.new_database()
    with pytest.raises(psycopg.errors.UndefinedTable):
        other.execute("select * from only_here")
    postgres_server.drop_database(other)


def test_postgres_wants_the_password(postgres: PostgresDatabase) -> None:
    """Over TCP a wrong password is refused, so tests of bad credentials test something."""
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres.uri.replace(postgres.password, "wrong"))
    assert postgres.password not in repr(postgres)


def test_copy_streams_out(postgres: PostgresDatabase) -> None:
    """COPY ... TO STDOUT delivers every row."""
    with psycopg.connect(postgres.uri) as connection, connection.cursor() as cursor:
        with cursor.copy(
            "copy (select g, md5(g::text) from generate_series(1, 10000) g) to stdout (format csv)"
        ) as rows:
            assert b"".join(rows).count(b"\n") == 10_000


def test_sessions_shows_what_a_client_left_open_and_kill_ends_it(postgres: PostgresDatabase) -> None:
    """A transaction left open is seen from outside; killed, its client finds out at its next word."""
    with contextlib.closing(psycopg.connect(postgres.uri)) as connection:
        connection.execute("select 42")
        assert postgres.sessions() == [("idle in transaction", "select 42")]
        assert postgres.kill_sessions() == 1
        with pytest.raises(psycopg.OperationalError):
            connection.execute("select 43")
    assert postgres.sessions() == []


# --- S3 ---------------------------------------------------------------------------------------------------------


def store_of(server: S3Server, bucket: str, **other: str) -> S3Store:
    options = {
        "endpoint": server.endpoint,
        "access_key_id": server.access_key,
        "secret_access_key": server.secret_key,
        "region": server.region,
    }
    return S3Store(
        bucket,
        **{**options, **other},
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
        retry_config={"max_retries": 2},
    )


@contextlib.contextmanager
def boto3_client(server: S3Server, **other: object) -> Iterator[Any]:
    keys = {"aws_access_key_id": server.access_key, "aws_secret_access_key": server.secret_key}
    client = boto3.client("s3", endpoint_url=server.endpoint, region_name=server.region, **{**keys, **other})
    with contextlib.closing(client):
        yield client


def test_multipart_upload_appears_when_completed(s3_server: S3Server, bucket: str) -> None:
    """Three parts are listed as one open upload, then are one object with the right bytes, and nothing is open."""
    content = os.urandom(2 * PART_BYTES + 1)
    parts = [content[start : start + PART_BYTES] for start in range(0, len(content), PART_BYTES)]
    with boto3_client(s3_server) as client:
        upload = client.create_multipart_upload(Bucket=bucket, Key="a folder/object")
        which = {"Bucket": bucket, "Key": "a folder/object", "UploadId": upload["UploadId"]}
        tags = [
            {"PartNumber": number, "ETag": client.upload_part(**which, PartNumber=number, Body=part)["ETag"]}
            for number, part in enumerate(parts, 1)
        ]
        assert s3_server.uploads(bucket) == ["a folder/object"]
        assert s3_server.objects(bucket) == {}
        client.complete_multipart_upload(**which, MultipartUpload={"Parts": tags})
    assert s3_server.uploads(bucket) == []
    assert s3_server.objects(bucket) == {"a folder/object": len(content)}
    assert s3_server.read(bucket, "a folder/object") == content


def test_aborted_upload_leaves_nothing(s3_server: S3Server, bucket: str) -> None:
    """obstore, fed by an iterator that fails, aborts: no object, no open upload."""

    def failing() -> Iterator[bytes]:
        yield bytes(PART_BYTES)
        yield bytes(PART_BYTES)
        raise RuntimeError("half-way")

    with pytest.raises(Exception, match="half-way"):
        obstore.put(store_of(s3_server, bucket), "half", failing(), use_multipart=True, chunk_size=PART_BYTES)
    assert s3_server.uploads(bucket) == []
    assert s3_server.objects(bucket) == {}


def test_bad_signature_is_refused(s3_server: S3Server, bucket: str) -> None:
    """The store checks signatures: with a wrong key nothing gets in, by anybody's client or our own helper."""
    with pytest.raises(obstore.exceptions.PermissionDeniedError, match="SignatureDoesNotMatch"):
        obstore.put(store_of(s3_server, bucket, secret_access_key="wrong"), "key", b"content")
    with pytest.raises(S3Error, match=r"403 .*SignatureDoesNotMatch"):
        S3Server(s3_server.port, s3_server.pid, secret_key="wrong").objects(bucket)
    assert s3_server.objects(bucket) == {}


def test_bucket_that_does_not_exist(s3_server: S3Server, bucket: str) -> None:
    """A missing bucket is an error with S3's code, not an empty list."""
    with pytest.raises(S3Error, match="NoSuchBucket") as caught:
        s3_server.objects("nobody-made-this")
    assert caught.value.status == 404


def test_refused_parts_are_tried_again(s3_server: S3Server, bucket: str) -> None:
    """Two injected 503 SlowDown reach the client, which tries again; the object is whole."""
    content = os.urandom(2 * PART_BYTES)
    s3_server.refuse("UploadPart", times=2)
    before = s3_server.statistics()
    obstore.put(
        store_of(s3_server, bucket), "key", content, use_multipart=True, chunk_size=PART_BYTES, max_concurrency=1
    )
    after = s3_server.statistics()
    assert after.refused["UploadPart"] - before.refused.get("UploadPart", 0) == 2
    assert after.requests["UploadPart"] - before.requests.get("UploadPart", 0) == 4
    assert s3_server.read(bucket, "key") == content


def test_refused_complete_leaves_an_upload_to_clean(s3_server: S3Server, bucket: str) -> None:
    """When completing is refused, the parts stay an open upload until somebody aborts it."""
    s3_server.refuse("CompleteMultipartUpload", status=403, code="AccessDenied")
    with boto3_client(s3_server) as client:
        which = {"Bucket": bucket, "Key": "key"}
        which["UploadId"] = client.create_multipart_upload(**which)["UploadId"]
        tag = client.upload_part(**which, PartNumber=1, Body=b"content")["ETag"]
        with pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
            client.complete_multipart_upload(**which, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]})
        assert s3_server.uploads(bucket) == ["key"]
        client.abort_multipart_upload(**which)
    assert s3_server.uploads(bucket) == []


def test_held_request_goes_on_when_healed(s3_server: S3Server, bucket: str) -> None:
    """A held PUT neither fails nor finishes until the store is healed; then it succeeds."""
    before = s3_server.statistics().held.get("PutObject", 0)
    s3_server.hold("PutObject")
    putting = threading.Thread(target=obstore.put, args=(store_of(s3_server, bucket), "key", b"content"))
    putting.start()
    while s3_server.statistics().held.get("PutObject", 0) == before:
        assert putting.is_alive()
    assert s3_server.objects(bucket) == {}
    s3_server.heal()
    putting.join()
    assert s3_server.objects(bucket) == {"key": len(b"content")}


def test_helper_is_not_in_the_books(s3_server: S3Server, bucket: str) -> None:
    """What the helper asks is not counted, so a test that counts sees its own requests only."""
    before = s3_server.statistics()
    s3_server.objects(bucket)
    s3_server.uploads(bucket)
    assert s3_server.statistics() == before


@pytest.mark.service
def test_store_ends_with_whoever_started_it(tmp_path: Path, s3_server: S3Server) -> None:
    """Killed without a chance to clean up, a test run still leaves no store behind."""
    program = (
        "import os, signal\n"
        "from tests.servers.s3 import run_s3\n"
        "with run_s3() as server:\n"
        "    print(server.pid, flush=True)\n"
        "    signal.pause()\n"
    )
    root = Path(__file__).resolve().parents[1]
    command = [sys.executable, "-c", program]
    with subprocess.Popen(
        command, cwd=root, stdout=subprocess.PIPE, env={**os.environ, "TMPDIR": str(tmp_path)}
    ) as owner:
        assert owner.stdout
        store = int(owner.stdout.readline())
        with end_of(store) as wait_for_the_end:
            owner.send_signal(signal.SIGKILL)
            wait_for_the_end()


@contextlib.contextmanager
def end_of(pid: int) -> Iterator[Callable[[], None]]:
    """A function that blocks until the process, which is not our child, has ended."""
    descriptor = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)

        def wait() -> None:
            assert poll.poll(10_000), f"process {pid} still runs"

        yield wait
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(("required", "outcome"), [("0", "1 skipped"), ("1", "1 error")])
def test_missing_service_skips_or_fails(required: str, outcome: str) -> None:
    """A server that cannot be had skips a test with the reason, and fails it where services are required."""
    test = f"{__file__}::test_bucket_that_does_not_exist"
    environment = {"PENSTOCK_SWIFT_PYTHON": "/nowhere/python", "PENSTOCK_REQUIRE_SERVICES": required}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", test]
    result = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert f"{outcome} in " in result.stdout
    assert "no S3 server: /nowhere/python does not exist" in result.stdout


# --- HTTP -------------------------------------------------------------------------------------------------------


class RawClient:
    """Sends exactly the bytes it is told to."""

    def __init__(self, server: HttpServer) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=10)

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.socket.close()

    def send(self, *pieces: bytes) -> None:
        self.socket.sendall(b"".join(pieces))

    def send_for_ever(self, piece: bytes) -> None:
        while True:
            self.send(piece)

    def receive_all(self) -> bytes:
        return b"".join(iter(lambda: self.socket.recv(65536), b""))


CHUNKED_POST = b"POST /ingest HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNK = b"5\r\nhello\r\n"
END = b"0\r\n\r\n"


def test_connections_are_counted_exactly(http_server: HttpServer) -> None:
    """Five requests on one kept connection are one; three fresh ones are three; one that says nothing counts too."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", http_server.port)) as kept:
        for _ in range(5):
            kept.request("GET", "/")
            kept.getresponse().read()
    for _ in range(3):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", http_server.port)) as fresh:
            fresh.request("GET", "/")
            fresh.getresponse().read()
    with RawClient(http_server):
        http_server.wait_until(lambda: http_server.connections == 5)
    http_server.wait_until(lambda: http_server.open_connections == 0)
    assert [request.connection for request in http_server.finished(8)] == [1, 1, 1, 1, 1, 2, 3, 4]


def test_chunked_body_that_ended(http_server: HttpServer) -> None:
    """With its terminating chunk, trailers included, a body is complete, and its bytes are there."""
    with RawClient(http_server) as client:
        client.send(CHUNKED_POST, CHUNK, b"6;extension=1\r\n world\r\n", b"0\r\nTrailer: x\r\n\r\n")
        [request] = http_server.finished(1)
    assert request.ending is Ending.COMPLETE
    assert (request.method, request.path, request.headers["host"]) == ("POST", "/ingest", "x")
    assert request.body == b"hello world"
    assert request.sha256 == hashlib.sha256(b"hello world").hexdigest()
    assert request.answered


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param([CHUNKED_POST, CHUNK], id="between chunks"),
        pytest.param([CHUNKED_POST, CHUNK, b"5\r\nhel"], id="inside a chunk"),
        pytest.param([CHUNKED_POST, CHUNK, b"0\r\n"], id="inside the terminating chunk"),
        pytest.param([b"PUT /ingest HTTP/1.1\r\nContent-Length: 6\r\n\r\nhello"], id="short of its Content-Length"),
    ],
)
def test_body_that_was_cut(http_server: HttpServer, sent: list[bytes]) -> None:
    """A body that stops anywhere before its end is cut, never complete, and is not answered."""
    with RawClient(http_server) as client:
        client.send(*sent)
        client.socket.shutdown(socket.SHUT_WR)
        assert client.receive_all() == b""
    [request] = http_server.finished(1)
    assert request.ending is Ending.CUT
    assert not request.answered
    assert request.body.startswith(b"hel")


def test_chunk_of_the_wrong_size_is_malformed(http_server: HttpServer) -> None:
    """A chunk longer than announced is neither complete nor cut."""
    with RawClient(http_server) as client:
        client.send(CHUNKED_POST, b"4\r\nhello\r\n", END)
        assert client.receive_all() == b""
    assert http_server.finished(1)[0].ending is Ending.MALFORMED


@pytest.mark.parametrize("limit", [0, 7])
def test_early_answer(http_server: HttpServer, limit: int) -> None:
    """A 413 after exactly so many bytes comes while the body is still open; what arrives later is counted apart."""
    http_server.reply("/ingest", Reply(413, after_bytes=limit))
    with RawClient(http_server) as client:
        client.send(CHUNKED_POST, CHUNK, CHUNK)
        answer = client.receive_all()
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"Connection: close\r\n" in answer
        client.send(CHUNK)
    [request] = http_server.finished(1)
    assert request.ending is Ending.UNREAD
    assert request.body_bytes == limit
    assert request.late_bytes >= len(CHUNK)


def test_early_answer_that_stalls_reads_no_more(http_server: HttpServer) -> None:
    """After a stalling early answer the client's bytes pile up at its own side: backpressure without an end."""
    http_server.reply("/ingest", Reply(413, after_bytes=0, then="stall"))
    with RawClient(http_server) as client:
        client.send(CHUNKED_POST)
        assert client.socket.recv(65536).startswith(b"HTTP/1.1 413 ")
        client.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.send(bytes(64 * MEBIBYTE))


def test_reset_after_an_early_answer(http_server: HttpServer) -> None:
    """A resetting server drops the connection under the client's hands."""
    http_server.reply("/ingest", Reply(400, after_bytes=1, then="reset"))
    with RawClient(http_server) as client:
        client.send(CHUNKED_POST, CHUNK)
        with pytest.raises(ConnectionError):
            client.send_for_ever(CHUNK)


def test_replies_come_in_order_and_the_last_one_stays(http_server: HttpServer) -> None:
    """One refusal, then success for ever; a function may look at the request."""
    http_server.reply("/flaky", Reply(503), Reply(200))
    http_server.reply("/echo", lambda request: Reply(body=request.target.encode()))
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", http_server.port)) as client:

        def get(target: str) -> tuple[int, bytes]:
            client.request("GET", target)
            response = client.getresponse()
            return response.status, response.read()

        assert [get("/flaky")[0] for _ in range(3)] == [503, 200, 200]
        assert get("/echo?page=2") == (200, b"/echo?page=2")
    assert http_server.connections == 1


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("size_bytes", [0, 1, 200_000])
def test_body_of_a_given_size(http_server: HttpServer, size_bytes: int, chunked: bool) -> None:
    """A generated body has exactly its size and pattern, and leaves the connection usable."""
    http_server.reply("*", Reply(body=size_bytes, chunked=chunked))
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", http_server.port)) as client:
        for _ in range(2):
            client.request("GET", "/")
            assert client.getresponse().read() == b"".join(generated_blocks(size_bytes))
    assert http_server.connections == 1


@pytest.mark.parametrize("chunked", [True, False])
def test_reply_that_breaks_off(http_server: HttpServer, chunked: bool) -> None:
    """A reply cut in its body reaches the client as an error, never as a shorter body."""
    http_server.reply("*", Reply(body=200_000, chunked=chunked, cut_after=100_000))
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", http_server.port)) as client:
        client.request("GET", "/")
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            client.getresponse().read()


@pytest.mark.parametrize("hold", ["body", "answer"])
def test_held_request_waits_for_release(http_server: HttpServer, hold: str) -> None:
    """A held request is not answered; released, it is. Held before its body, it has read nothing of it."""
    http_server.reply("*", Reply(hold=hold))
    with RawClient(http_server) as client:
        client.send(CHUNKED_POST, CHUNK, END)
        http_server.wait_until(lambda: len(http_server.requests) == 1)
        if hold == "answer":
            http_server.wait_until(lambda: http_server.requests[0].ending is Ending.COMPLETE)
        else:
            assert http_server.requests[0].ending is Ending.ARRIVING
        assert not http_server.requests[0].answered
        http_server.release()
        assert http_server.finished(1)[0].answered


def test_books_keep_no_more_than_they_were_told() -> None:
    """Beyond keep_bytes the body is counted and hashed only, and asking for it is an error."""
    with HttpServer(keep_bytes=3) as server, RawClient(server) as client:
        client.send(CHUNKED_POST, CHUNK, END)
        [request] = server.finished(1)
        assert (request.body_bytes, request.sha256) == (5, hashlib.sha256(b"hello").hexdigest())
        with pytest.raises(ValueError, match="only 3 of 5 bytes were kept"):
            _ = request.body


def test_waiting_in_vain_says_what_the_books_say(http_server: HttpServer) -> None:
    """A wait that times out shows what did arrive."""
    with RawClient(http_server) as client:
        client.send(CHUNKED_POST)
        http_server.wait_until(lambda: len(http_server.requests) == 1)
        with pytest.raises(TimeoutError, match=r"1 connections \(1 open\).*target='/ingest'"):
            http_server.finished(1, timeout=0)


def test_stop_leaves_no_thread_and_no_connection() -> None:
    """With connections open in every state, stopping ends all of them and every thread."""
    before = set(threading.enumerate())
    server = HttpServer()
    server.reply("/held", Reply(hold="body"))
    server.reply("/stalled", Reply(after_bytes=0, then="stall"))
    server.reply("/slow", Reply(bytes_per_second=0.001))
    with contextlib.ExitStack() as stack:
        with server:
            for path in (b"/idle", b"/held", b"/stalled", b"/slow"):
                client = stack.enter_context(RawClient(server))
                client.send(CHUNKED_POST.replace(b"/ingest", path), CHUNK)
            server.wait_until(lambda: len(server.requests) == 4)
        assert set(threading.enumerate()) == before
        assert server.open_connections == 0
