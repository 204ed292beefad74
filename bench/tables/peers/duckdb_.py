"""DuckDB's own COPY TO, which is what others are compared with there. duckdb_.py URI TABLE FORMAT PATH."""

import sys

import duckdb

OPTIONS = {"csv": "FORMAT csv, HEADER", "ndjson": "FORMAT json", "parquet": "FORMAT parquet, COMPRESSION zstd"}

uri, table, kind, path = sys.argv[1:]
with duckdb.connect(uri.removeprefix("duckdb:///"), read_only=True) as connection:
    connection.execute(f"COPY {table} TO '{path}' ({OPTIONS[kind]})")
