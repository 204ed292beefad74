"""Where the scripts of this folder write to: a file, or an object at the store that the ``AWS_*`` environment names."""

import os
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.csv
import pyarrow.fs
import pyarrow.parquet


def opened(target):
    """Return a binary stream of pyarrow into ``target``."""
    if not target.startswith("s3://"):
        return pyarrow.OSFile(target, "wb")
    store = pyarrow.fs.S3FileSystem(
        access_key=os.environ["AWS_ACCESS_KEY_ID"],
        secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
        region=os.environ["AWS_REGION"],
        scheme="http",
        endpoint_override=os.environ["AWS_ENDPOINT_URL"].removeprefix("http://"),
    )
    return store.open_output_stream(target.removeprefix("s3://"))


@contextmanager
def writer(target, kind, schema):
    """Open pyarrow's writer of CSV or Parquet on ``target``."""
    with opened(target) as stream:
        if kind == "csv":
            with pyarrow.csv.CSVWriter(stream, schema) as file:
                yield file
        else:
            with pyarrow.parquet.ParquetWriter(stream, schema, compression="zstd") as file:
                yield file


def plain(batch):
    """Return a batch or table in which extension types, of which pyarrow writes no CSV, are what they are stored as."""
    columns = [column.storage if isinstance(column, pa.ExtensionArray) else column for column in batch.columns]
    return pa.record_batch(columns, batch.schema.names)
