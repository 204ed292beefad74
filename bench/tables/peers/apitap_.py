"""apitap, whose engine is Rust. apitap_.py URI TABLE FORMAT TARGET."""

import os
import sys
from urllib.parse import urlencode, urlsplit

import apitap

uri, table, kind, target = sys.argv[1:]
if target.startswith("s3://"):
    options = {
        "format": kind,
        "endpoint": os.environ["AWS_ENDPOINT_URL"],
        "region": os.environ["AWS_REGION"],
        "access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
        "secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
    }
    # It makes a folder of the prefix and the table's name.
    apitap.transfer(
        uri,
        f"s3://{urlsplit(target).netloc}?{urlencode(options)}",
        table=table,
        dest_table=target[5:].partition("/")[2],
    )
else:
    apitap.read(uri, table=table).to_parquet(target)
