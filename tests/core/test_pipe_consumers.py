"""Real consumers reading from a pipe, real producers writing into one: the libraries pipes are made for."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import os
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from penstock.core.pipe import PipeReader, PipeWriter, pipe, reading_from, writing_to
from tests.core.tasks import until
from tests.core.threads import start
from tests.servers.http import Ending, HttpServer

if TYPE_CHECKING:
    from tests.servers.postgres import PostgresDatabase
    from tests.servers.s3 import S3Server

MIB = 1024 * 1024
BUFFER_SIZES = pytest.mark.parametrize("buffer_size", [0, 65536], ids=["rendezvous", "buffer64K"])


class FailedHalfWay(Exception):
    """What goes wrong in a producer."""


def lines(count: int = 5000) -> bytes:
    return b"".join(b"%d,some text that makes the line longer\n" % number for number in range(count))


def write_in_pieces(data: bytes, size: int = 10_000) -> Any:
    """A producer that writes ``data`` bit by bit."""

    def produce(writer: PipeWriter) -> None:
        for at in range(0, len(data), size):
            writer.write(data[at : at + size])

    return produce


def failing_once_received(http_server: HttpServer) -> Any:
    """A producer that fails when the server has some of its data."""

    def produce(writer: PipeWriter) -> None:
        writer.write(b"x" * 200_000)  # more than any client collects before it sends
        http_server.wait_until(lambda: any(request.body_bytes for request in http_server.requests))
        raise FailedHalfWay

    return produce


# --- S3 through boto3 -------------------------------------------------------------------------------------------


def s3_client(server: S3Server) -> Any:
    boto3 = pytest.importorskip("boto3", reason="boto3 is not installed")
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name=server.region,
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
    )


@BUFFER_SIZES
def test_boto3_uploads_a_pipe_in_parts(s3_server: S3Server, bucket: str, buffer_size: int) -> None:
    """20 MiB written in 64 KiB pieces go up as three parts of 8, 8 and 4 MiB, not as one PUT from memory."""
    client = s3_client(s3_server)
    data = os.urandom(20 * MIB)
    before = s3_server.statistics().requests
    with reading_from(write_in_pieces(data, 65536), buffer_size=buffer_size) as reader:
        client.upload_fileobj(reader, bucket, "big")
    after = s3_server.statistics().requests
    assert after.get("UploadPart", 0) - before.get("UploadPart", 0) == 3
    assert after.get("PutObject", 0) - before.get("PutObject", 0) == 0
    assert s3_server.uploads(bucket) == []
    assert hashlib.sha256(s3_server.read(bucket, "big")).digest() == hashlib.sha256(data).digest()
    client.close()


def test_boto3_uploads_a_small_pipe_in_one_put(s3_server: S3Server, bucket: str) -> None:
    """What is smaller than a part is one PutObject."""
    client = s3_client(s3_server)
    with reading_from(write_in_pieces(lines())) as reader:
        client.upload_fileobj(reader, bucket, "small")
    assert s3_server.read(bucket, "small") == lines()
    client.close()


@pytest.mark.parametrize("size", [50_000, 12 * MIB], ids=["small", "multipart"])
def test_a_failing_producer_leaves_no_object(s3_server: S3Server, bucket: str, size: int) -> None:
    """The upload fails with the producer's error: nothing is published, no upload stays open."""
    client = s3_client(s3_server)

    def produce(writer: PipeWriter) -> None:
        for _ in range(0, size, 50_000):
            writer.write(b"x" * 50_000)
        raise FailedHalfWay

    with pytest.raises(FailedHalfWay), reading_from(produce) as reader:
        client.upload_fileobj(reader, bucket, "half")
    assert s3_server.objects(bucket) == {}
    assert s3_server.uploads(bucket) == []
    client.close()


# --- HTTP bodies ------------------------------------------------------------------------------------------------


def post_with_requests(url: str, reader: PipeReader) -> int:
    requests = pytest.importorskip("requests", reason="requests is not installed")
    with requests.Session() as session:
        session.trust_env = False
        return int(session.post(url, data=iter(lambda: reader.read1(65536), b"")).status_code)


def post_a_file_with_requests(url: str, reader: PipeReader) -> int:
    requests = pytest.importorskip("requests", reason="requests is not installed")
    with requests.Session() as session:
        session.trust_env = False
        return int(session.post(url, data=reader).status_code)


def post_with_urllib3(url: str, reader: PipeReader) -> int:
    urllib3 = pytest.importorskip("urllib3", reason="urllib3 is not installed")
    with urllib3.PoolManager(retries=False) as pool:
        return int(pool.request("POST", url, body=reader, chunked=True).status)


def post_with_httpx(url: str, reader: PipeReader) -> int:
    httpx = pytest.importorskip("httpx", reason="httpx is not installed")
    with httpx.Client(trust_env=False) as client:
        return int(client.post(url, content=reader).status_code)


def post_with_http_client(url: str, reader: PipeReader) -> int:
    from http.client import HTTPConnection
    from urllib.parse import urlsplit

    target = urlsplit(url)
    connection = HTTPConnection(target.netloc)
    try:
        connection.request(
            "POST", target.path, body=reader, encode_chunked=True, headers={"Transfer-Encoding": "chunked"}
        )
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


POSTS = {
    "requests, iterator": post_with_requests,
    "requests, file": post_a_file_with_requests,
    "urllib3": post_with_urllib3,
    "httpx": post_with_httpx,
    "http.client": post_with_http_client,
}
EVERY_POST = pytest.mark.parametrize("post", POSTS.values(), ids=POSTS.keys())


@BUFFER_SIZES
@EVERY_POST
def test_a_pipe_is_a_chunked_body(post: Any, buffer_size: int, http_server: HttpServer) -> None:
    """The server sees every byte and the terminating chunk, on one connection, without a length."""
    with reading_from(write_in_pieces(lines()), buffer_size=buffer_size) as reader:
        assert post(http_server.url + "/in", reader) == 200
    [request] = http_server.finished(1)
    assert request.ending is Ending.COMPLETE
    assert request.body == lines()
    headers = {name.lower(): value for name, value in request.headers.items()}
    assert headers.get("transfer-encoding") == "chunked"
    assert "content-length" not in headers
    assert http_server.connections == 1


@EVERY_POST
def test_a_failing_producer_cuts_the_body(post: Any, http_server: HttpServer) -> None:
    """The client raises the producer's error and the server never sees the terminating chunk."""
    produce = failing_once_received(http_server)
    with pytest.raises(Exception) as caught, reading_from(produce) as reader:  # noqa: PT011  each client wraps it its way
        post(http_server.url + "/in", reader)
    chain: list[BaseException | None] = [caught.value]
    while chain[-1] is not None and not isinstance(chain[-1], FailedHalfWay):
        chain.append(chain[-1].__cause__ or chain[-1].__context__)
    assert isinstance(chain[-1], FailedHalfWay)
    [request] = http_server.finished(1)
    assert request.ending is Ending.CUT


def test_an_aiohttp_body_from_a_thread(http_server: HttpServer) -> None:
    """A thread writes, an asyncio task posts what comes, chunk by chunk."""
    aiohttp = pytest.importorskip("aiohttp", reason="aiohttp is not installed")
    reader, writer = pipe(65536)

    def produce() -> None:
        with writer:
            write_in_pieces(lines())(writer)

    async def main() -> int:
        async with aiohttp.ClientSession() as session, reader.aio as body:
            async with session.post(http_server.url + "/in", data=body) as response:
                return int(response.status)

    producing = start(produce)
    assert asyncio.run(main()) == 200
    producing.result()
    [request] = http_server.finished(1)
    assert request.ending is Ending.COMPLETE
    assert request.body == lines()


def test_a_failing_producer_cuts_an_aiohttp_body(http_server: HttpServer) -> None:
    """Async clients pass the failure on as well."""
    aiohttp = pytest.importorskip("aiohttp", reason="aiohttp is not installed")
    reader, writer = pipe(65536)

    def produce() -> None:
        with writer:
            failing_once_received(http_server)(writer)

    async def main() -> None:
        async with aiohttp.ClientSession() as session, reader.aio as body:
            async with session.post(http_server.url + "/in", data=body) as response:
                await response.read()

    producing = start(produce)
    with pytest.raises((FailedHalfWay, aiohttp.ClientError)):
        asyncio.run(main())
    producing.error(FailedHalfWay)
    [request] = http_server.finished(1)
    assert request.ending is Ending.CUT


def test_an_async_httpx_body_from_a_thread(http_server: HttpServer, anyio_backend: str) -> None:
    """The async view is an async iterable of bytes, which is all httpx wants; on both loops."""
    httpx = pytest.importorskip("httpx", reason="httpx is not installed")
    import anyio

    async def main() -> int:
        reader, writer = pipe(65536)

        def produce() -> None:
            with writer:
                write_in_pieces(lines())(writer)

        producing = start(produce)
        async with httpx.AsyncClient(trust_env=False) as client, reader.aio as body:
            response = await client.post(http_server.url + "/in", content=body)
        await until(lambda: producing.done)
        producing.result()
        return int(response.status_code)

    assert anyio.run(main, backend=anyio_backend) == 200
    [request] = http_server.finished(1)
    assert request.ending is Ending.COMPLETE
    assert request.body == lines()


# --- Postgres COPY ----------------------------------------------------------------------------------------------


@BUFFER_SIZES
def test_psycopg_copies_from_a_pipe(postgres: PostgresDatabase, buffer_size: int) -> None:
    """COPY FROM STDIN reads the pipe to its end."""
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")
    with psycopg.connect(postgres.dsn) as connection:
        connection.execute("CREATE TABLE target (number int, words text)")
        with (
            reading_from(write_in_pieces(lines()), buffer_size=buffer_size) as reader,
            connection.cursor().copy("COPY target FROM STDIN (FORMAT csv)") as copy,
        ):
            while data := reader.read1(65536):
                copy.write(data)
        assert connection.execute("SELECT count(*), sum(number) FROM target").fetchone() == (5000, sum(range(5000)))


def test_a_failing_producer_copies_nothing(postgres: PostgresDatabase) -> None:
    """The COPY is rolled back and the error is the producer's."""
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")

    def produce(writer: PipeWriter) -> None:
        writer.write(b"1,one\n2,two\n")
        raise FailedHalfWay

    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE target (number int, words text)")
        with (
            pytest.raises(FailedHalfWay),
            reading_from(produce) as reader,
            connection.cursor().copy("COPY target FROM STDIN (FORMAT csv)") as copy,
        ):
            while data := reader.read1(65536):
                copy.write(data)
        assert connection.execute("SELECT count(*) FROM target").fetchone() == (0,)


def test_psycopg_copies_into_a_pipe(postgres: PostgresDatabase) -> None:
    """COPY TO STDOUT feeds a consumer that parses CSV in another thread."""
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")

    def parse(reader: PipeReader) -> int:
        with io.TextIOWrapper(reader, newline="") as text:
            return sum(int(row[0]) for row in csv.reader(text))

    with psycopg.connect(postgres.dsn) as connection:
        with writing_to(parse) as handle:
            with connection.cursor().copy(
                "COPY (SELECT generate_series(1, 5000), 'text') TO STDOUT (FORMAT csv)"
            ) as copy:
                for block in copy:
                    handle.writer.write(block)
        assert handle.result() == sum(range(5001))


# --- Arrow ------------------------------------------------------------------------------------------------------


@BUFFER_SIZES
def test_pyarrow_reads_csv_from_a_pipe(buffer_size: int) -> None:
    """Pyarrow's streaming CSV reader takes the reader as a file."""
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from pyarrow import csv as arrow_csv

    with reading_from(write_in_pieces(b"number,words\n" + lines()), buffer_size=buffer_size) as reader:
        table = arrow_csv.open_csv(reader).read_all()
    assert table.num_rows == 5000
    assert table.column("number").to_pylist() == list(range(5000))


@BUFFER_SIZES
def test_pyarrow_ipc_through_a_pipe(buffer_size: int) -> None:
    """An Arrow stream written into the writer is read batch by batch from the reader."""
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    batches = [pyarrow.record_batch({"number": list(range(at, at + 100))}) for at in range(0, 1000, 100)]

    def produce(writer: PipeWriter) -> None:
        with pyarrow.ipc.new_stream(writer, batches[0].schema) as stream:
            for batch in batches:
                stream.write_batch(batch)

    with reading_from(produce, buffer_size=buffer_size) as reader, pyarrow.ipc.open_stream(reader) as stream:
        assert list(stream) == batches


def test_a_failing_arrow_producer_is_an_error_to_the_reader() -> None:
    """Pyarrow closes its stream on the way out; the reader sees the failure all the same."""
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    batch = pyarrow.record_batch({"number": [1, 2, 3]})

    def produce(writer: PipeWriter) -> None:
        with pyarrow.ipc.new_stream(writer, batch.schema) as stream:
            stream.write_batch(batch)
            raise FailedHalfWay

    with pytest.raises(FailedHalfWay), reading_from(produce) as reader, pyarrow.ipc.open_stream(reader) as stream:
        list(stream)


# --- archives ---------------------------------------------------------------------------------------------------


@BUFFER_SIZES
def test_zipfile_writes_into_a_pipe(buffer_size: int) -> None:
    """Several members, one of them streamed; what comes out is a valid archive."""

    def produce(writer: PipeWriter) -> None:
        with zipfile.ZipFile(writer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.txt", lines())
            with archive.open("b.txt", "w") as member:
                for at in range(0, 100_000, 777):
                    member.write(b"b" * min(777, 100_000 - at))

    with reading_from(produce, buffer_size=buffer_size) as reader:
        data = reader.read()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert archive.read("a.txt") == lines()
        assert archive.read("b.txt") == b"b" * 100_000


def test_tarfile_through_a_pipe_both_ways() -> None:
    """Tarfile streams into the writer and out of the reader at the same time."""

    def produce(writer: PipeWriter) -> None:
        with tarfile.open(fileobj=writer, mode="w|gz") as archive:
            for number in range(20):
                member = tarfile.TarInfo(f"{number}.txt")
                member.size = len(lines(100))
                archive.addfile(member, io.BytesIO(lines(100)))

    with reading_from(produce) as reader, tarfile.open(fileobj=reader, mode="r|gz") as archive:
        names = []
        for member in archive:
            names.append(member.name)
            extracted = archive.extractfile(member)
            assert extracted is not None
            assert extracted.read() == lines(100)
    assert names == [f"{number}.txt" for number in range(20)]
