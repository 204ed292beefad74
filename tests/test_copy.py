"""`penstock.copy`, as a program calls it."""

from __future__ import annotations

import io
import json
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import penstock
from penstock import api
from penstock.engines.outcome import Snapshot
from penstock.errors import ConfigurationError
from tests.engines.parts import BytesSource, MemorySink

ENDLESS = "with recursive n(i) as (select 1 union all select i + 1 from n) select i from n"


@pytest.fixture
def shop(tmp_path: Path) -> str:
    """The address of a database of a thousand orders."""
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
        connection.execute("create table orders (id integer primary key, name text)")
        connection.executemany("insert into orders values (?, ?)", ((i, f"item {i}") for i in range(1, 1001)))
    return f"sqlite:///{tmp_path / 'shop.db'}"


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "shop.db")


def test_a_table_to_a_path(shop: str, tmp_path: Path) -> None:
    """Paths may be path objects; the report says what was done."""
    target = tmp_path / "orders.ndjson"
    report = penstock.copy(shop, target, table="orders")
    assert [json.loads(line)["id"] for line in target.read_text().splitlines()] == list(range(1, 1001))
    assert (report.rows, report.bytes, report.format) == (1000, target.stat().st_size, "ndjson")
    assert report.location == str(target)
    assert report.leaks == ()
    assert "1,000 rows" in str(report)


def test_own_sources_and_sinks() -> None:
    """Whatever satisfies the contracts can take part."""
    source, sink = BytesSource([b"a,b\n", b"1,2\n"]), MemorySink()
    report = penstock.copy(source, sink)
    assert sink.published == b"a,b\n1,2\n"
    assert (report.source, report.location, report.rows) == ("chunks in memory", "memory:1", None)


def test_an_error_leaves_nothing(shop: str, tmp_path: Path) -> None:
    """The source's error, and neither a file nor a thread."""
    before = threading.active_count()
    query = "select case when id = 900 then abs(-9223372036854775808) else id end as n from orders"
    with pytest.raises(penstock.SourceError, match="integer overflow"):
        penstock.copy(shop, tmp_path / "out.csv.gz", query=query)
    assert left_in(tmp_path) == []
    assert threading.active_count() == before


def test_an_existing_destination(shop: str, tmp_path: Path) -> None:
    """Fails, skips or overwrites."""
    target = tmp_path / "out.csv"
    target.write_text("mine")
    with pytest.raises(penstock.AlreadyExists):
        penstock.copy(shop, target, table="orders")
    assert penstock.copy(shop, target, table="orders", if_exists="skip").skipped
    assert target.read_text() == "mine"
    assert not penstock.copy(shop, target, table="orders", if_exists="overwrite").skipped
    assert target.read_text().startswith("id,name\n")


def test_a_cancel_from_another_thread(shop: str, tmp_path: Path) -> None:
    """The surrounding scope stops the copy once it runs, and every trace of it is removed."""
    with penstock.CancelScope() as scope:
        penstock.copy(shop, tmp_path / "out.csv", query=ENDLESS, progress=lambda snapshot: scope.cancel("enough"))
    assert scope.cancelled_caught
    assert left_in(tmp_path) == []


def test_a_deadline_around_the_copy(shop: str, tmp_path: Path) -> None:
    """A deadline of the caller works as one of the copy's own."""
    with pytest.raises(penstock.DeadlineExceeded), penstock.fail_after(0.3):
        penstock.copy(shop, tmp_path / "out.csv", query=ENDLESS)
    with pytest.raises(penstock.DeadlineExceeded, match="not finished within 300 ms"):
        penstock.copy(shop, tmp_path / "out.csv", query=ENDLESS, timeout=0.3)
    with pytest.raises(penstock.DeadlineExceeded, match="not finished within 300 ms"):
        penstock.copy(shop, tmp_path / "out.csv", query=ENDLESS, timeout="300ms")
    assert left_in(tmp_path) == []


def test_progress_may_be_a_function(shop: str, tmp_path: Path) -> None:
    """It is shown snapshots of the running copy."""
    seen: list[Snapshot] = []
    query = f"{ENDLESS} limit 100000"
    report = penstock.copy(shop, tmp_path / "out.csv", query=query, bwlimit="400KiB", progress=seen.append)
    assert report.rows == 100_000
    assert seen
    assert sorted(snapshot.bytes for snapshot in seen) == [snapshot.bytes for snapshot in seen]


def test_a_copy_that_takes_no_time_is_shown_too(shop: str, tmp_path: Path) -> None:
    """Once, when everything has arrived."""
    seen: list[Snapshot] = []
    report = penstock.copy(shop, tmp_path / "out.csv", query="SELECT 1 AS a", progress=seen.append)
    assert seen
    assert (seen[-1].rows, seen[-1].bytes) == (report.rows, report.bytes)


def test_an_interrupt_stops_the_copy(shop: str, tmp_path: Path) -> None:
    """Ctrl-C in a program is a KeyboardInterrupt, bare, after everything has ended."""

    def interrupt(snapshot: Snapshot) -> None:
        raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        penstock.copy(shop, tmp_path / "out.csv", query=ENDLESS, progress=interrupt)
    assert threading.active_count() == before
    assert left_in(tmp_path) == []


# -- what is decided -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("destination", "options", "decided"),
    [
        ("out.csv", {}, ("csv", None)),
        ("out.ndjson.gz", {}, ("ndjson", "gzip")),
        ("out.jsonl.zst", {}, ("ndjson", "zstd")),
        ("out.csv.gz", {"compression": "none"}, ("csv", None)),
        ("out.csv", {"format": "ndjson"}, ("ndjson", None)),
        ("-", {}, ("csv", None)),
        ("-", {"format": "ndjson", "compression": "zstd"}, ("ndjson", "zstd")),
        ("dump", {}, ("csv", None)),
        ("dump.gz", {}, ("csv", "gzip")),
        ("folder.v2/dump", {}, ("csv", None)),
        ("https://host/upload.php", {}, ("csv", None)),
        ("s3://bucket/dump.ndjson", {}, ("ndjson", None)),
    ],
)
def test_names_and_options_decide_the_format(
    destination: str, options: dict[str, str], decided: tuple[str, str | None]
) -> None:
    """Options first, then the name, then what the source has, then CSV."""
    plan = api.plan("sqlite:///shop.db", destination, api.CopyOptions(table="orders", **options))  # type: ignore[arg-type]
    assert (plan.format_name, plan.compression) == decided


def test_the_format_of_the_source_is_kept_where_nothing_else_is_said() -> None:
    """NDJSON on standard input stays NDJSON, and its bytes are not parsed."""
    plan = api.plan("-", "-", api.CopyOptions(source_format="ndjson"))
    assert plan.format_name == "ndjson"
    assert plan.passes_through


@pytest.mark.parametrize("name", ["out.avro", "out.xlsx.gz", "s3://bucket/out.orc"])
def test_a_name_that_means_something_else_is_not_filled_with_csv(name: str) -> None:
    """A suffix that is no known format needs a word."""
    with pytest.raises(penstock.ConfigurationError, match="does not tell the format"):
        api.plan("sqlite:///shop.db", name, api.CopyOptions(table="orders"))
    assert api.plan("sqlite:///shop.db", name, api.CopyOptions(table="orders", format="csv")).format_name == "csv"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"format": "cvs"}, "did you mean 'csv'"),
        ({"compression": "gzp"}, "did you mean 'gzip'"),
        ({"max_memory": "lots"}, "max_memory"),
        ({"part_size": 0}, "part_size"),
        ({"timeout": -1}, "timeout"),
        ({"stall_timeout": "never"}, "stall_timeout"),
        ({"if_exists": "append"}, "if_exists"),
        ({"columns": "id"}, "a list of at least one name"),
        ({"columns": []}, "a list of at least one name"),
        ({"to_table": "t"}, "to_table is for databases"),
    ],
)
def test_a_mistake_is_found_before_anything_is_touched(options: dict[str, object], complaint: str) -> None:
    """The database of this plan does not exist, and nobody looked for it."""
    with pytest.raises(penstock.ConfigurationError, match=complaint):
        penstock.copy("sqlite:///nowhere.db", "out.csv", table="orders", **options)  # type: ignore[arg-type]
    assert not Path("nowhere.db").exists()


def test_options_are_the_keywords_of_copy() -> None:
    """CopyOptions has what copy has, with the same defaults; only how to show it is left out."""
    import dataclasses
    import inspect

    parameters = inspect.signature(penstock.copy).parameters.values()
    keywords = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "progress"}
    assert keywords == {option.name: option.default for option in dataclasses.fields(api.CopyOptions)}


@pytest.mark.parametrize("destination", [None, io.BytesIO(), 5], ids=lambda value: type(value).__name__)
def test_what_is_no_destination_is_refused(destination: Any) -> None:
    """A file object is none either: it could not be published whole."""
    with pytest.raises(ConfigurationError, match=f"of type {type(destination).__name__}: give an address"):
        penstock.copy([{"a": 1}], destination)


def test_what_can_not_be_loaded_is_told_before_its_options() -> None:
    """MongoDB is a database, but for reading; a word about tables would send people looking for another option."""
    with pytest.raises(ConfigurationError, match="mongodb can not be written to"):
        penstock.copy([{"a": 1}], "mongodb://host/db", to_table="t")
