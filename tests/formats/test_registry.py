"""Formats are found by name and by file name."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from penstock import formats
from penstock.errors import ConfigurationError
from penstock.flow.contracts import Format, Formats


@pytest.mark.parametrize(
    ("path", "format_name", "compression"),
    [
        ("events.csv", "csv", None),
        ("events.CSV.GZ", "csv", "gzip"),
        ("events.ndjson.zst", "ndjson", "zstd"),
        ("events.jsonl", "ndjson", None),
        ("events.tsv", "tsv", None),
        ("events.gz", None, "gzip"),
        ("events", None, None),
        ("csv", None, None),
        ("folder.csv/events", None, None),
        ("", None, None),
        ("-", None, None),
        ("s3://bucket/a/events.csv.gz", "csv", "gzip"),
        ("https://user:secret@host/events.ndjson?version=1.csv", "ndjson", None),
        ("file:///tmp/events.csv#part", "csv", None),
    ],
)
def test_names_tell_format_and_compression(path: str, format_name: str | None, compression: str | None) -> None:
    """The suffixes of a path or address tell both, or None, in either case of letters."""
    assert formats.infer(path) == (format_name, compression)


@pytest.mark.parametrize("name", formats.format_names())
def test_every_known_format_is_one(name: str) -> None:
    """Every name in the registry leads to an object that keeps the contract."""
    found = formats.format_by_name(name)
    assert isinstance(found, Format)
    assert "/" in found.media_type


def test_jsonl_is_another_name_for_ndjson() -> None:
    """Who asks for jsonl gets NDJSON."""
    assert formats.format_by_name("jsonl").name == "ndjson"


@pytest.mark.parametrize(("name", "said"), [("cvs", "did you mean 'csv'?"), ("xml", "known are csv, ")])
def test_unknown_format_names_the_nearest(name: str, said: str) -> None:
    """A format that does not exist is a configuration error that helps."""
    with pytest.raises(ConfigurationError, match="unknown format") as caught:
        formats.format_by_name(name)
    assert said in str(caught.value)


def test_a_third_party_adds_a_format() -> None:
    """A registered format is known by name and suffix from then on."""
    formats.register_format("also-csv", "penstock.formats.csv", "Csv", [".also"])
    try:
        assert formats.infer("x.also") == ("also-csv", None)
        assert formats.format_by_name("also-csv").media_type == "text/csv"
    finally:
        formats._FORMATS.pop("also-csv")


def test_the_package_is_what_sources_are_lent() -> None:
    """The module itself satisfies the protocol, by signature (mypy) and by name."""
    lent: Formats = formats
    assert lent.infer("x.csv") == ("csv", None)


def test_importing_formats_imports_no_extra() -> None:
    """Importing pyarrow takes longer to import than the command line has got."""
    code = "import sys, penstock.formats; print([m for m in ('pyarrow', 'arro3', 'zstandard') if m in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "[]"
