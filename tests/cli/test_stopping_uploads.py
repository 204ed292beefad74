"""SIGTERM at every moment of an upload: the code of the signal, no object, and no upload left open."""

from __future__ import annotations

import signal

import pytest

from tests.cli.conftest import ENDLESS, Penstock, finish
from tests.servers.s3 import S3Server

SOME_ROWS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) SELECT i, hex(randomblob(16)) AS x FROM n"


@pytest.mark.parametrize(
    ("operation", "query"),
    [
        ("GetBucket", ENDLESS),
        ("CreateMultipartUpload", ENDLESS),
        ("UploadPart", ENDLESS),
        ("CompleteMultipartUpload", SOME_ROWS),
    ],
)
def test_a_signal_while_the_store_thinks(
    shop: Penstock, s3_server: S3Server, bucket: str, operation: str, query: str
) -> None:
    """Whatever the store is about to answer, it is not left with half an object."""
    before = s3_server.statistics().held.get(operation, 0)
    s3_server.hold(operation)
    flags = ["-q", query, "--part-size", "5MiB"]
    process = shop.start("cp", "sqlite:///shop.db", f"s3://{bucket}/out.csv", *flags, **s3_server.environment)
    shop.wait_until(lambda: s3_server.statistics().held.get(operation, 0) > before)
    process.send_signal(signal.SIGTERM)
    if operation == "CreateMultipartUpload":
        s3_server.heal()  # its answer is waited for, for some seconds
    assert finish(process).code == 143
    s3_server.heal()
    assert s3_server.objects(bucket) == {}
    assert s3_server.uploads(bucket) == []
