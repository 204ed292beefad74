"""ADBC's PostgreSQL driver and pyarrow's Parquet writer, a batch at a time. adbc.py URI TABLE FORMAT PATH.

Not CSV: numeric comes as an extension type, which pyarrow writes no CSV of.
"""

import sys

import adbc_driver_postgresql.dbapi
import pyarrow.parquet

uri, table, _kind, path = sys.argv[1:]
with adbc_driver_postgresql.dbapi.connect(uri) as connection, connection.cursor() as cursor:
    cursor.adbc_statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(4 << 20)})
    cursor.execute(f"SELECT * FROM {table}")
    reader = cursor.fetch_record_batch()
    with pyarrow.parquet.ParquetWriter(path, reader.schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch)
