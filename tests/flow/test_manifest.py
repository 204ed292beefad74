"""The manifest of a destination in parts."""

from __future__ import annotations

import json

import pytest

from penstock.flow.manifest import Manifest, PartEntry

MANIFEST = Manifest(
    "csv", "gzip", [("id", "int64"), ("näme", "string")], [PartEntry("a.1", 2, 30, "00"), PartEntry("a.2", 5, 70, "ff")]
)


def test_a_manifest_reads_back_as_it_was_written() -> None:
    """Every field, in the order of the parts; the totals are there for those who only want these."""
    text = MANIFEST.to_json()
    assert Manifest.from_json(text) == MANIFEST
    assert Manifest.from_json(text.encode()) == MANIFEST
    plain = json.loads(text)
    assert (plain["rows"], plain["bytes"], plain["penstock_manifest"]) == (7, 100, 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"penstock_manifest": 2}',
        '{"penstock_manifest": 1}',
        MANIFEST.to_json().replace("a.1", "../a.1"),
        MANIFEST.to_json().replace("a.1", ".."),
        b"\xff",
    ],
)
def test_what_is_no_manifest_is_refused(text: str | bytes) -> None:
    """Somebody else's file, one of another version, and one that names files elsewhere."""
    with pytest.raises(ValueError, match=r"manifest|Expecting|it names|it lacks|decode"):
        Manifest.from_json(text)
