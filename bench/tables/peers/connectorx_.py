"""ConnectorX, which holds the whole table, and pyarrow's writers. connectorx_.py URI TABLE FORMAT PATH."""

import sys

import connectorx
import pyarrow.csv
import pyarrow.parquet

uri, table, kind, path = sys.argv[1:]
result = connectorx.read_sql(uri, f"SELECT * FROM {table}", return_type="arrow")
if kind == "csv":
    pyarrow.csv.write_csv(result, path)
else:
    pyarrow.parquet.write_table(result, path, compression="zstd")
