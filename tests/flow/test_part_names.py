"""What parts are called."""

from __future__ import annotations

from itertools import islice

import pytest

from penstock.flow.part_names import PartNames


@pytest.mark.parametrize(
    ("address", "suffixes", "second", "manifest"),
    [
        ("orders.csv", 1, "orders.00002.csv", "orders.manifest.json"),
        ("/data/orders.csv.gz", 2, "/data/orders.00002.csv.gz", "/data/orders.manifest.json"),
        ("a.b/orders.2024.ndjson.zst", 2, "a.b/orders.2024.00002.ndjson.zst", "a.b/orders.2024.manifest.json"),
        ("dump", 0, "dump.00002", "dump.manifest.json"),
        ("folder.csv/dump", 0, "folder.csv/dump.00002", "folder.csv/dump.manifest.json"),
        ("s3://bucket/orders.csv", 1, "s3://bucket/orders.00002.csv", "s3://bucket/orders.manifest.json"),
        ("s3://b/x/o.csv?region=eu", 1, "s3://b/x/o.00002.csv?region=eu", "s3://b/x/o.manifest.json?region=eu"),
        ("what?.csv", 1, "what?.00002.csv", "what?.manifest.json"),
    ],
)
def test_parts_are_named_after_the_whole(address: str, suffixes: int, second: str, manifest: str) -> None:
    """The number stands before the suffixes; folder and query of an address stay."""
    names = PartNames.of(address, suffixes=suffixes)
    assert names.address(names.name(2)) == second
    assert names.manifest == manifest


def test_names_that_are_taken_are_passed_over() -> None:
    """So that new parts never stand where old ones do."""
    names = PartNames.of("o.csv", suffixes=1)
    assert list(islice(names.names(taken={"o.00001.csv", "o.00003.csv"}), 3)) == [
        "o.00002.csv",
        "o.00004.csv",
        "o.00005.csv",
    ]
    assert names.name(123_456) == "o.123456.csv"
