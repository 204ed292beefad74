"""`penstock.copy(..., partitions=...)` from MariaDB to real files."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

import penstock
from penstock.engines.outcome import Snapshot
from penstock.leaks import leakcheck
from tests.connectors.mysql_partitions import ROWS, SLOW, make_numbered
from tests.connectors.mysql_parts import make, no_settings_from_outside, nobody_left
from tests.core.threads import start, wait_until

if TYPE_CHECKING:
    from tests.servers.mariadb import MariaDbDatabase


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    no_settings_from_outside(monkeypatch, tmp_path_factory.mktemp("home"))


@pytest.fixture(autouse=True)
def nothing_left(mariadb: MariaDbDatabase) -> Iterator[None]:
    """No session outlives a test by more than the moment the server needs to notice."""
    make_numbered(mariadb, name="orders")
    yield
    nobody_left(mariadb)


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def table_of(folder: Path) -> pa.Table:
    """All parts, in the manifest's order."""
    told = json.loads((folder / "orders.manifest.json").read_text())
    return pa.concat_tables([parquet.read_table(folder / part["name"]) for part in told["parts"]])


@pytest.mark.parametrize("by", [None, "id"])
def test_each_partition_is_a_file(mariadb: MariaDbDatabase, tmp_path: Path, by: str | None) -> None:
    """Together they are the table, in the order of its key; nothing is left."""
    with leakcheck():
        report = penstock.copy(mariadb.uri, tmp_path / "orders.parquet", table="orders", partitions=4, partition_by=by)
    assert files_in(tmp_path) == {"orders.manifest.json", *(f"orders.{n:05}.parquet" for n in range(1, 5))}
    assert table_of(tmp_path)["id"].to_pylist() == list(range(1, ROWS + 1))
    assert (report.rows, report.details["partitions"], report.leaks) == (ROWS, 4, ())
    assert report.details["ranges"] == ["id < 251 or NULL", "251 <= id < 501", "501 <= id < 751", "id >= 751"]


def test_an_empty_table_is_one_part_with_its_columns(mariadb: MariaDbDatabase, tmp_path: Path) -> None:
    """Whoever reads the parts finds the columns."""
    make(mariadb, "DELETE FROM orders")
    report = penstock.copy(mariadb.uri, tmp_path / "orders.parquet", table="orders", partitions=3)
    assert (report.rows, files_in(tmp_path)) == (0, {"orders.manifest.json", "orders.00001.parquet"})
    assert table_of(tmp_path).column_names == ["id", "word"]


def test_a_table_that_others_write_all_the_time(mariadb: MariaDbDatabase, tmp_path: Path) -> None:
    """In each transaction a row goes and the next number comes: at any moment there are a thousand in a row."""
    stop = threading.Event()

    def write() -> int:
        with closing(mariadb.connect()) as connection, connection.cursor() as cursor:
            for number in count(ROWS + 1):
                if stop.is_set():
                    return number
                connection.begin()
                cursor.execute("DELETE FROM orders WHERE id = %s", [number - ROWS])
                cursor.execute("INSERT INTO orders VALUES (%s, 'new')", [number])
                connection.commit()
        raise AssertionError("numbers do not end")

    writing = start(write)
    try:
        for _ in range(5):
            target = tmp_path / "orders.parquet"
            penstock.copy(mariadb.uri, target, table="orders", partitions=4, if_exists="overwrite")
            found = sorted(table_of(tmp_path)["id"].to_pylist())
            assert found == list(range(found[0], found[0] + ROWS))
    finally:
        stop.set()
    assert writing.result() > ROWS + 1


@pytest.mark.parametrize("suffix", ["csv", "ndjson.gz", "parquet"])
def test_a_failure_in_one_partition_leaves_no_part(mariadb: MariaDbDatabase, tmp_path: Path, suffix: str) -> None:
    """Whichever had been published; the message says which partition it was."""
    make(mariadb, "ALTER TABLE orders ADD COLUMN day date", "UPDATE orders SET day = '0000-00-00' WHERE id = 1000")
    with pytest.raises(penstock.SourceError, match=r"orders, partition 4 of 4: .*0000-00-00"), leakcheck():
        penstock.copy(mariadb.uri, tmp_path / f"orders.{suffix}", table="orders", partitions=4)
    assert files_in(tmp_path) == set()


def test_a_server_that_ends_every_session(mariadb: MariaDbDatabase, tmp_path: Path) -> None:
    """An error, and nothing appears."""

    def kill(_snapshot: Snapshot) -> None:
        mariadb.kill_sessions()

    with pytest.raises(penstock.SourceError):
        penstock.copy(mariadb.uri, tmp_path / "o.csv", table="orders", where=SLOW, partitions=3, progress=kill)
    assert files_in(tmp_path) == set()


@pytest.mark.parametrize("limit", ["timeout", "stall_timeout"])
@pytest.mark.parametrize("is_locked", [True, False])
def test_a_deadline(mariadb: MariaDbDatabase, tmp_path: Path, limit: str, is_locked: bool) -> None:
    """While it waits for the lock, and while it reads: the queries are stopped at the server, no part stays."""
    error: Any = penstock.DeadlineExceeded if limit == "timeout" else penstock.StallError
    with closing(mariadb.connect()) as writer, writer.cursor() as cursor:
        writer.begin()
        if is_locked:
            cursor.execute("UPDATE orders SET word = 'unsure' WHERE id = 1")
        complaint = "was not divided into partitions yet" if is_locked else "source"
        options: dict[str, Any] = {limit: 1.0} | ({} if is_locked else {"where": f"id < 900 OR {SLOW}"})
        with pytest.raises(error, match=complaint), leakcheck():
            penstock.copy(mariadb.uri, tmp_path / "orders.csv", table="orders", partitions=3, **options)
        wait_until(lambda: len(mariadb.sessions()) == 1)  # the writer's
    assert files_in(tmp_path) == set()
    make(mariadb, "UPDATE orders SET word = 'new'")
