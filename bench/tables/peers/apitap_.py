"""apitap, whose engine is Rust. apitap_.py URI TABLE FORMAT PATH."""

import sys

import apitap

uri, table, _kind, path = sys.argv[1:]
apitap.read(uri, table=table).to_parquet(path)
