"""dlt, to a folder. dlt_.py URI TABLE FORMAT TARGET BACKEND STATE, of which the last is a folder for what it keeps."""

import os
import sys

uri, table, kind, target, backend, state = sys.argv[1:]
os.environ["DLT_DATA_DIR"] = state
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION"] = "true"

import dlt  # noqa: E402
from dlt.sources.sql_database import sql_table  # noqa: E402

CHUNK_ROWS = 50_000


@dlt.resource(name=table)
def duckdb_batches():
    """Give Arrow batches, as dlt's own guide does: SQLAlchemy's dialect of DuckDB cannot describe a table of DuckDB 2."""
    import duckdb

    with duckdb.connect(uri.removeprefix("duckdb:///"), read_only=True) as connection:
        yield from connection.execute(f"SELECT * FROM {table}").to_arrow_reader(CHUNK_ROWS)


store = None
if target.startswith("s3://"):
    store = {
        "aws_access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
        "endpoint_url": os.environ["AWS_ENDPOINT_URL"],
        "region_name": os.environ["AWS_REGION"],
    }
bucket_url = f"{target}.folder" if store else f"file://{target}.folder"
if uri.startswith("duckdb:"):
    source = duckdb_batches
else:
    uri = uri.replace("mysql:", "mysql+pymysql:", 1)
    source = sql_table(credentials=uri, table=table, backend=backend, chunk_size=CHUNK_ROWS)
destination = dlt.destinations.filesystem(bucket_url=bucket_url, credentials=store)
pipeline = dlt.pipeline("bench", destination=destination, dataset_name="bench", pipelines_dir=state)
pipeline.run(source, loader_file_format={"ndjson": "jsonl"}.get(kind, kind))
