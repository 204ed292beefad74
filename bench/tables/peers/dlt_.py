"""dlt with its pyarrow backend, to a folder. dlt_.py URI TABLE FORMAT PATH."""

import os
import sys

uri, table, kind, path = sys.argv[1:]
os.environ["DLT_DATA_DIR"] = f"{path}.state"
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION"] = "true"

import dlt  # noqa: E402
from dlt.sources.sql_database import sql_table  # noqa: E402

source = sql_table(credentials=uri, table=table, backend="pyarrow", chunk_size=50_000)
destination = dlt.destinations.filesystem(bucket_url=f"file://{path}.folder")
pipeline = dlt.pipeline("bench", destination=destination, dataset_name="bench", pipelines_dir=f"{path}.state")
pipeline.run(source, loader_file_format={"ndjson": "jsonl"}.get(kind, kind))
