"""apitap, whose engine is Rust. apitap_.py URI TABLE FORMAT TARGET."""

import os
import sys
from urllib.parse import urlencode

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
    apitap.transfer(uri, f"{target}?{urlencode(options)}", table=table)
else:
    apitap.read(uri, table=table).to_parquet(target)
