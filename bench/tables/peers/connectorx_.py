"""ConnectorX, which holds the whole table, and pyarrow's writers. connectorx_.py URI TABLE FORMAT TARGET."""

import sys

import connectorx
from targets import writer

uri, table, kind, target = sys.argv[1:]
uri = uri.replace("sqlite:///", "sqlite://", 1)
result = connectorx.read_sql(uri, f"SELECT * FROM {table}", return_type="arrow")
with writer(target, kind, result.schema) as file:
    file.write_table(result)
