"""ADBC's driver of a database and pyarrow's writers, a batch at a time. adbc.py URI TABLE FORMAT TARGET."""

import sys

import pyarrow as pa
from targets import plain, writer

BATCH_BYTES = 4 << 20
BATCH_ROWS = 10_000


def connected(uri):
    """Return a connection, and the options of a statement by which batches are of a sensible size."""
    if uri.startswith("postgresql:"):
        import adbc_driver_postgresql.dbapi

        return adbc_driver_postgresql.dbapi.connect(uri), {"adbc.postgresql.batch_size_hint_bytes": str(BATCH_BYTES)}
    if uri.startswith("sqlite:"):
        import adbc_driver_sqlite.dbapi

        path = uri.removeprefix("sqlite:///")
        return adbc_driver_sqlite.dbapi.connect(path), {"adbc.sqlite.query.batch_rows": str(BATCH_ROWS)}
    import adbc_driver_duckdb.dbapi

    return adbc_driver_duckdb.dbapi.connect(uri.removeprefix("duckdb:///")), {}


uri, table, kind, target = sys.argv[1:]
connection, options = connected(uri)
with connection, connection.cursor() as cursor:
    cursor.adbc_statement.set_options(**options)
    cursor.execute(f"SELECT * FROM {table}")
    reader = cursor.fetch_record_batch()
    schema = plain(pa.record_batch([[]] * len(reader.schema), reader.schema)).schema if kind == "csv" else reader.schema
    with writer(target, kind, schema) as file:
        for batch in reader:
            file.write(plain(batch) if kind == "csv" else batch)
