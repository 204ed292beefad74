"""`penstock.copy(..., max_file_size=...)` to real files and objects."""

from __future__ import annotations

import gzip
import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest

import penstock
from tests.engines.parts import MemorySink, MemoryTable

ROWS = 20_000
QUERY = "select id, hex(randomblob(20)) as word from orders"
FAILING = (
    "select case when id = 19000 then abs(-9223372036854775808) else id end as id, hex(randomblob(20)) from orders"
)


@pytest.fixture
def shop(tmp_path: Path) -> str:
    """The address of a database of orders; the folder ``out`` is empty."""
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
        connection.execute("create table orders (id integer primary key)")
        connection.executemany("insert into orders values (?)", ((i,) for i in range(1, ROWS + 1)))
    (tmp_path / "out").mkdir()
    return f"sqlite:///{tmp_path / 'shop.db'}"


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def manifest(folder: Path) -> Any:
    return json.loads((folder / "orders.manifest.json").read_text())


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "parquet"])
def test_parts_are_files_of_their_format(shop: str, tmp_path: Path, suffix: str) -> None:
    """Each can be read alone; together they hold every row once; the manifest tells the truth about each."""
    folder = tmp_path / "out"
    report = penstock.copy(shop, folder / f"orders.{suffix}", query=QUERY, max_file_size="256KiB")
    told = manifest(folder)
    rows = 0
    for part in told["parts"]:
        data = (folder / part["name"]).read_bytes()
        assert len(data) == part["bytes"] <= 256 * 1024
        assert hashlib.sha256(data).hexdigest() == part["sha256"]
        rows += part["rows"]
        if suffix == "parquet":
            assert parquet.read_table(folder / part["name"]).num_rows == part["rows"]
        else:
            text = gzip.decompress(data) if suffix == "csv.gz" else data
            assert text.splitlines()[0] == b"id,word"
            assert text.count(b"\n") == part["rows"] + 1
    assert rows == told["rows"] == report.rows == ROWS
    assert len(told["parts"]) > 1
    assert files_in(folder) == {"orders.manifest.json", *(part["name"] for part in told["parts"])}
    assert report.location == str(folder / "orders.manifest.json")
    assert report.bytes == told["bytes"]
    assert report.details["parts"] == len(told["parts"])


def test_a_failure_leaves_no_part(shop: str, tmp_path: Path) -> None:
    """Though some had been published."""
    with pytest.raises(penstock.SourceError, match="integer overflow"):
        penstock.copy(shop, tmp_path / "out" / "orders.csv", query=FAILING, max_file_size="64KiB")
    assert files_in(tmp_path / "out") == set()


def test_overwriting_a_split_destination(shop: str, tmp_path: Path) -> None:
    """By default it fails; skipped if asked to; overwritten, nothing of the old parts remains."""
    folder = tmp_path / "out"
    target = folder / "orders.csv"
    penstock.copy(shop, target, query=QUERY, max_file_size="128KiB")
    before = files_in(folder)
    with pytest.raises(penstock.AlreadyExists):
        penstock.copy(shop, target, query=QUERY, max_file_size="128KiB")
    assert penstock.copy(shop, target, query=QUERY, max_file_size="128KiB", if_exists="skip").skipped
    assert files_in(folder) == before
    with pytest.raises(penstock.SourceError):
        penstock.copy(shop, target, query=FAILING, max_file_size="128KiB", if_exists="overwrite")
    assert files_in(folder) == before
    penstock.copy(shop, target, query=f"{QUERY} limit 5000", max_file_size="128KiB", if_exists="overwrite")
    parts = {part["name"] for part in manifest(folder)["parts"]}
    assert manifest(folder)["rows"] == 5000
    assert files_in(folder) == {"orders.manifest.json", *parts}


@pytest.mark.parametrize(
    ("destination", "options", "complaint"),
    [
        ("-", {}, "can not be taken back"),
        ("http://localhost/in", {}, "can not be taken back"),
        (MemorySink(), {}, "the destination is an object"),
        (MemoryTable(), {}, "the destination is an object"),
        ("out.csv", {"max_file_size": "1KiB"}, "at least 64.0 KiB"),
        ("out.csv", {"max_file_size": "much"}, "max_file_size 'much'"),
    ],
)
def test_what_can_not_be_split_is_refused_before_anything_is_touched(
    destination: Any, options: dict[str, Any], complaint: str
) -> None:
    """The database of this plan does not exist, and nobody looked for it."""
    with pytest.raises(penstock.ConfigurationError, match=complaint):
        penstock.plan("sqlite:///nowhere.db", destination, table="orders", **{"max_file_size": "1MiB", **options})
