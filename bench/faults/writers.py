"""One writer, writing to the store that the environment names. writers.py NAME FAULT BUCKET."""

import contextlib
import io
import os
import sys
import time

name, fault, bucket = sys.argv[1:]
KEY = "half"
MIB = bytes(range(256)) * 4096
ENDPOINT = os.environ["AWS_ENDPOINT_URL"]


class SourceFails(RuntimeError):
    """What the data is read from has failed."""


def pieces():
    """Give a mebibyte at a time: at "source" the twenty-fifth fails; at "sigterm" they come slowly, and somebody is told."""
    for number in range(25 if fault == "none" else 40):
        if number == 24 and fault == "source":
            raise SourceFails
        if number == 20:
            print("half-way", flush=True)
        if number >= 20 and fault == "sigterm":
            time.sleep(0.2)
        yield MIB


class Failing(io.RawIOBase):
    """The same as a file to read."""

    def __init__(self):
        self._pieces = pieces()
        self._rest = b""

    def readable(self):
        return True

    def readinto(self, buffer):
        if not self._rest:
            self._rest = next(self._pieces, b"")
        taken, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)


def smart_open_with():
    import smart_open

    with smart_open.open(f"s3://{bucket}/{KEY}", "wb", transport_params={"min_part_size": 5 << 20}) as file:
        for piece in pieces():
            file.write(piece)


def smart_open_gzip():
    import smart_open

    with smart_open.open(f"s3://{bucket}/{KEY}.gz", "wb", transport_params={"min_part_size": 5 << 20}) as file:
        for piece in pieces():
            file.write(os.urandom(len(piece)))  # which stays as large


def smart_open_finally_close():
    import smart_open

    file = smart_open.open(f"s3://{bucket}/{KEY}", "wb", transport_params={"min_part_size": 5 << 20})
    try:
        for piece in pieces():
            file.write(piece)
    finally:
        file.close()


def _obstore():
    from obstore.store import S3Store

    return S3Store(bucket, client_options={"allow_http": True})


def obstore_writer():
    import obstore

    with obstore.open_writer(_obstore(), KEY, buffer_size=5 << 20) as writer:
        for piece in pieces():
            writer.write(piece)


def obstore_put_iterator():
    import obstore

    obstore.put(_obstore(), KEY, pieces(), chunk_size=5 << 20)


def boto3_upload_fileobj():
    import boto3

    boto3.client("s3").upload_fileobj(io.BufferedReader(Failing()), bucket, KEY)


def _pyarrow():
    from pyarrow import fs

    return fs.S3FileSystem(
        access_key=os.environ["AWS_ACCESS_KEY_ID"],
        secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
        region=os.environ["AWS_REGION"],
        scheme="http",
        endpoint_override=ENDPOINT.removeprefix("http://"),
    )


def pyarrow_output_stream():
    with _pyarrow().open_output_stream(f"{bucket}/{KEY}") as stream:
        for piece in pieces():
            stream.write(piece)


def pyarrow_parquet_writer():
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("data", pa.binary())])
    with pq.ParquetWriter(f"{bucket}/{KEY}", schema, filesystem=_pyarrow(), compression="none") as writer:
        for piece in pieces():
            writer.write_table(pa.table({"data": [os.urandom(len(piece))]}, schema))


def _s3fs():
    import s3fs

    return s3fs.S3FileSystem(endpoint_url=ENDPOINT)


def s3fs_open():
    with _s3fs().open(f"{bucket}/{KEY}", "wb", block_size=5 << 20) as file:
        for piece in pieces():
            file.write(piece)


def s3fs_transaction():
    store = _s3fs()
    with store.transaction, store.open(f"{bucket}/{KEY}", "wb", block_size=5 << 20) as file:
        for piece in pieces():
            file.write(piece)


def fsspec_gzip():
    import fsspec

    with fsspec.open(f"s3://{bucket}/{KEY}.gz", "wb", compression="gzip", endpoint_url=ENDPOINT) as file:
        for piece in pieces():
            file.write(os.urandom(len(piece)))


def penstock_copy():
    import penstock

    given = pieces()
    with contextlib.closing(given):
        penstock.copy(given, f"s3://{bucket}/{KEY}.csv", source_format="csv", part_size="5MiB", concurrency=1)


def penstock_pipe_and_boto3():
    import boto3

    import penstock

    def produce(writer):
        for piece in pieces():
            writer.write(piece)

    with penstock.reading_from(produce) as reader:
        boto3.client("s3").upload_fileobj(reader, bucket, KEY)


globals()[name]()
