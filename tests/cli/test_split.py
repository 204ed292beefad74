"""`--max-file-size` and `--bwlimit` end to end."""

from __future__ import annotations

import json
import signal

import pytest

from tests.cli.conftest import ENDLESS, FAILING, Penstock, finish
from tests.servers.http import Ending, HttpServer
from tests.servers.s3 import S3Server

SIZE = ["--max-file-size", "256KiB"]


def test_several_files_and_a_manifest(shop: Penstock) -> None:
    """One line says where the manifest is; every file is in it."""
    result = shop("cp", "sqlite:///shop.db", "orders.csv.gz", "-t", "orders", *SIZE)
    assert result.code == 0, result.stderr
    assert result.line.startswith("penstock: 300,000 rows, ")
    assert result.line.endswith("-> orders.manifest.json")
    manifest = json.loads((shop.folder / "orders.manifest.json").read_text())
    assert manifest["rows"] == 300_000
    assert shop.files() == {"orders.manifest.json", *(part["name"] for part in manifest["parts"])}
    assert len(manifest["parts"]) > 2


def test_a_failure_half_way_leaves_no_file(shop: Penstock) -> None:
    """Though some had been published by then."""
    result = shop("cp", "sqlite:///shop.db", "orders.csv", "-q", FAILING, *SIZE)
    assert result.code == 3
    assert "integer overflow" in result.line
    assert shop.files() == set()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"])
def test_a_signal_half_way_leaves_no_file(shop: Penstock, number: signal.Signals, code: int) -> None:
    """The files that are there already go as well."""
    process = shop.start("cp", "sqlite:///shop.db", "orders.csv", "-q", ENDLESS, *SIZE)
    shop.wait_until((shop.folder / "orders.00003.csv").exists)
    process.send_signal(number)
    result = finish(process)
    assert result.code == code
    assert result.line == f"penstock: stopped by {number.name} before the copy was complete"
    assert shop.files() == set()


def test_several_objects(shop: Penstock, s3_server: S3Server, bucket: str) -> None:
    """As files; after a failure none of them is there."""
    copy = ["cp", "sqlite:///shop.db", f"s3://{bucket}/to/orders.csv", "--max-file-size", "2MiB"]
    result = shop(*copy, "-t", "orders", **s3_server.environment)
    assert result.code == 0, result.stderr
    manifest = json.loads(s3_server.read(bucket, "to/orders.manifest.json"))
    parts = {f"to/{part['name']}" for part in manifest["parts"]}
    assert len(parts) > 2
    assert s3_server.objects(bucket).keys() == {"to/orders.manifest.json", *parts}
    before = s3_server.objects(bucket)
    again = ["--if-exists", "overwrite", "--destination-option", "region=us-east-1"]
    failed = shop(*copy, "-q", FAILING, *again, **s3_server.environment)
    assert failed.code == 3
    assert s3_server.objects(bucket) == before


def test_a_bandwidth_limit_over_http(shop: Penstock, http_server: HttpServer) -> None:
    """The body is complete, and came slowly; waiting for the limit is no stall."""
    flags = ["-q", "select hex(zeroblob(200000)) as x", "--bwlimit", "1MB/s", "--stall-timeout", "10s"]
    result = shop("cp", "sqlite:///shop.db", f"{http_server.url}/in", *flags, "--summary", "summary.json")
    assert result.code == 0, result.stderr
    [request] = http_server.finished(1)
    assert request.ending is Ending.COMPLETE
    assert request.body.count(b"0") == 400_000
    assert held_back_seconds(shop) > 0.2


def test_a_bandwidth_limit(shop: Penstock) -> None:
    """The copy takes as long as that says, and the summary says so."""
    flags = ["-q", "select hex(zeroblob(500000)) as x", "--bwlimit", "2MB/s", "--summary", "summary.json"]
    result = shop("cp", "sqlite:///shop.db", "-", *flags)
    assert result.code == 0
    assert len(result.stdout) > 1_000_000
    assert held_back_seconds(shop) > 0.3


def held_back_seconds(penstock: Penstock) -> float:
    summary = json.loads((penstock.folder / "summary.json").read_text())
    return float(summary["stages"][-1]["held_back_seconds"])
