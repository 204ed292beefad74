"""`penstock.copy(..., partitions=...)` from PostgreSQL to real files and objects."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pyarrow.parquet as parquet
import pytest

import penstock
from penstock.engines.outcome import Snapshot
from penstock.leaks import leakcheck
from tests.connectors.postgres_parts import environment, nothing_left
from tests.connectors.stores import use_only
from tests.core.threads import start
from tests.engines.parts import MemorySink, MemoryTable

if TYPE_CHECKING:
    from tests.servers.postgres import PostgresDatabase, PostgresServer
    from tests.servers.s3 import S3Server

__all__ = ["environment", "nothing_left"]

ROWS = 20_000
EVERY_ID = list(range(1, ROWS + 1))


@pytest.fixture(scope="module", name="postgres")
def orders(postgres_server: PostgresServer) -> Iterator[PostgresDatabase]:
    """A database with a table of orders, and a view of it that fails at its last row."""
    database = postgres_server.new_database()
    database.execute(f"CREATE TABLE orders AS SELECT i AS id, md5(i::text) AS word FROM generate_series(1, {ROWS}) i")
    database.execute("CREATE VIEW failing AS SELECT 1 / (id - 19000) AS n, id, word FROM orders")
    yield database
    postgres_server.drop_database(database)


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def manifest(folder: Path) -> Any:
    return json.loads((folder / "orders.manifest.json").read_text())


def ids_of(path: Path) -> list[int]:
    """The ids in a file of any of the formats here."""
    if path.suffix == ".parquet":
        ids: list[int] = parquet.read_table(path)["id"].to_pylist()
        return ids
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if ".ndjson" in path.suffixes:
        return [json.loads(line)["id"] for line in text.splitlines()]
    header, *lines = text.splitlines()
    assert header == b"id,word"
    return [int(line.partition(b",")[0]) for line in lines]


# --- what goes well -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "ndjson.gz", "parquet"])
@pytest.mark.parametrize("by", [None, "id"])
def test_each_partition_is_a_file(postgres: PostgresDatabase, tmp_path: Path, suffix: str, by: str | None) -> None:
    """Complete in itself; in the manifest's order they hold the rows in theirs, each once; nothing is left."""
    with leakcheck():
        report = penstock.copy(
            postgres.uri, tmp_path / f"orders.{suffix}", table="orders", partitions=4, partition_by=by
        )
    told = manifest(tmp_path)
    names = [part["name"] for part in told["parts"]]
    assert names == [f"orders.{number:05}.{suffix}" for number in range(1, 5)]
    assert files_in(tmp_path) == {"orders.manifest.json", *names}
    assert [number for name in names for number in ids_of(tmp_path / name)] == EVERY_ID
    for part in told["parts"]:
        data = (tmp_path / part["name"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (part["bytes"], part["sha256"])
        assert len(ids_of(tmp_path / part["name"])) == part["rows"]
    assert told["columns"] == [{"name": "id", "type": "int32"}, {"name": "word", "type": "string"}]
    assert (report.rows, report.bytes) == (told["rows"], told["bytes"]) == (ROWS, report.bytes)
    assert report.location == str(tmp_path / "orders.manifest.json")
    assert (report.details["partitions"], report.details["parts"], len(report.details["ranges"])) == (4, 4, 4)  # type: ignore[arg-type]
    assert report.leaks == ()
    assert "rows/s" in str(report)


def test_one_partition_is_one_file(postgres: PostgresDatabase, tmp_path: Path) -> None:
    """As without the word: no number, no manifest."""
    penstock.copy(postgres.uri, tmp_path / "orders.csv", table="orders", partitions=1)
    assert files_in(tmp_path) == {"orders.csv"}


def test_an_empty_table_is_one_part_with_its_columns(postgres: PostgresDatabase, tmp_path: Path) -> None:
    """Whoever reads the parts finds the columns."""
    report = penstock.copy(postgres.uri, tmp_path / "orders.csv", table="orders", where="false", partitions=3)
    assert [part["rows"] for part in manifest(tmp_path)["parts"]] == [0, 0, 0]
    assert report.rows == 0
    assert (tmp_path / "orders.00001.csv").read_bytes() == b"id,word\n"
    postgres.execute("CREATE TABLE nothing (id int, word text)")
    (tmp_path / "empty").mkdir()
    penstock.copy(postgres.uri, tmp_path / "empty" / "orders.parquet", table="nothing", partitions=3)
    assert [part["rows"] for part in manifest(tmp_path / "empty")["parts"]] == [0]


def test_stages_progress_and_totals_are_those_of_all(postgres: PostgresDatabase, tmp_path: Path) -> None:
    """One line for each kind of stage, and the rows of all partitions added up."""
    seen: list[Snapshot] = []
    report = penstock.copy(
        postgres.uri, tmp_path / "orders.ndjson.gz", table="orders", partitions=3, bwlimit="1MB/s", progress=seen.append
    )
    assert [stage.name for stage in report.stages] == ["source", "encoder", "compressor", "sink"]
    assert report.stages[-1].held_back_seconds > 0
    assert all(len(snapshot.stages) == 4 and (snapshot.rows or 0) <= ROWS for snapshot in seen)
    assert max(snapshot.bytes for snapshot in seen) > 0
    assert report.bytes_before_compression > report.bytes


@pytest.mark.parametrize("by", [None, "id"])
def test_a_table_that_others_write_all_the_time(postgres: PostgresDatabase, tmp_path: Path, by: str | None) -> None:
    """In each transaction a row goes and the next number comes: at any moment there are a thousand in a row."""
    table = f"moving_{by or 'ctid'}"
    postgres.execute(
        f"CREATE TABLE {table} AS SELECT i AS id, repeat('x', 300) AS word FROM generate_series(1, 1000) i"
    )
    stop = threading.Event()

    def write() -> int:
        with psycopg.connect(postgres.dsn) as connection:
            for number in count(1001):
                if stop.is_set():
                    return number
                connection.execute(f"DELETE FROM {table} WHERE id = %s", [number - 1000])
                connection.execute(f"INSERT INTO {table} VALUES (%s, repeat('y', 300))", [number])
                connection.commit()
        raise AssertionError("numbers do not end")

    writing = start(write)
    try:
        for _ in range(5):
            target = tmp_path / "orders.csv"
            penstock.copy(postgres.uri, target, table=table, partitions=4, partition_by=by, if_exists="overwrite")
            found = sorted(number for part in manifest(tmp_path)["parts"] for number in ids_of(tmp_path / part["name"]))
            assert found == list(range(found[0], found[0] + 1000))
    finally:
        stop.set()
    assert writing.result() > 1001


def test_all_are_read_at_once(postgres: PostgresDatabase, tmp_path: Path) -> None:
    """Each over a connection of its own, beside the one that has the snapshot."""
    sessions: list[int] = []

    def stop_when_all_run(_snapshot: Snapshot) -> None:
        sessions.append(len(postgres.sessions()))
        if sessions[-1] == 5:
            scope.cancel()

    with penstock.CancelScope() as scope:
        penstock.copy(
            postgres.uri,
            tmp_path / "orders.csv",
            table="orders",
            where="pg_sleep(600) IS NULL",
            partitions=4,
            timeout=30,
            progress=stop_when_all_run,
        )
    assert scope.cancelled_caught
    assert max(sessions) == 5
    assert files_in(tmp_path) == set()


def test_overwriting_with_another_number(postgres: PostgresDatabase, tmp_path: Path) -> None:
    """By default it fails; overwritten, nothing of the old parts remains; after a failure, all of them."""
    target = tmp_path / "orders.csv"
    penstock.copy(postgres.uri, target, table="orders", partitions=4)
    before = {name: (tmp_path / name).read_bytes() for name in files_in(tmp_path)}
    with pytest.raises(penstock.AlreadyExists):
        penstock.copy(postgres.uri, target, table="orders", partitions=2)
    assert penstock.copy(postgres.uri, target, table="orders", partitions=2, if_exists="skip").skipped
    with pytest.raises(penstock.SourceError):
        penstock.copy(postgres.uri, target, table="failing", partitions=2, partition_by="id", if_exists="overwrite")
    assert before == {name: (tmp_path / name).read_bytes() for name in files_in(tmp_path)}
    penstock.copy(postgres.uri, target, table="orders", partitions=2, if_exists="overwrite")
    assert files_in(tmp_path) == {"orders.manifest.json", "orders.00005.csv", "orders.00006.csv"}
    assert manifest(tmp_path)["rows"] == ROWS


def test_a_flow_without_steps(postgres: PostgresDatabase, tmp_path: Path) -> None:
    """Writing it takes the same options."""
    report = penstock.read(postgres.uri, table="orders").write(tmp_path / "orders.parquet", partitions=2)
    assert report.details["partitions"] == 2


def test_objects(
    postgres: PostgresDatabase, tmp_path: Path, s3_server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As files; after a failure, or at a part that cannot be stored, there is none, and no upload is open."""
    use_only(s3_server.environment, monkeypatch)
    target = f"s3://{bucket}/to/orders.ndjson"
    with leakcheck():
        penstock.copy(postgres.uri, target, table="orders", partitions=3)
    stored = s3_server.objects(bucket)
    told = json.loads(s3_server.read(bucket, "to/orders.manifest.json"))
    assert stored.keys() == {"to/orders.manifest.json", *(f"to/{part['name']}" for part in told["parts"])}
    lines = [line for part in told["parts"] for line in s3_server.read(bucket, f"to/{part['name']}").splitlines()]
    assert [json.loads(line)["id"] for line in lines] == EVERY_ID
    with pytest.raises(penstock.SourceError, match="division by zero"), leakcheck():
        penstock.copy(postgres.uri, f"s3://{bucket}/fails/orders.csv", table="failing", partitions=3, partition_by="id")
    s3_server.put(bucket, "there/orders.00003.ndjson", b"mine")
    with pytest.raises(penstock.AlreadyExists), leakcheck():
        penstock.copy(postgres.uri, f"s3://{bucket}/there/orders.ndjson", table="orders", partitions=3)
    assert s3_server.objects(bucket).keys() == stored.keys() | {"there/orders.00003.ndjson"}
    assert s3_server.uploads(bucket) == []


# --- what goes wrong ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["csv", "ndjson.gz", "parquet"])
def test_a_failure_in_one_partition_leaves_no_part(postgres: PostgresDatabase, tmp_path: Path, suffix: str) -> None:
    """Whichever had been published; the message says which partition it was."""
    with pytest.raises(penstock.SourceError, match="failing, partition 4 of 4: division by zero"), leakcheck():
        penstock.copy(postgres.uri, tmp_path / f"orders.{suffix}", table="failing", partitions=4, partition_by="id")
    assert files_in(tmp_path) == set()


def test_a_part_that_is_in_the_way(postgres: PostgresDatabase, tmp_path: Path) -> None:
    """It stays, and nothing else does."""
    (tmp_path / "orders.00002.csv").write_bytes(b"mine")
    with pytest.raises(penstock.AlreadyExists, match=r"orders\.00002\.csv"), leakcheck():
        penstock.copy(postgres.uri, tmp_path / "orders.csv", table="orders", partitions=3)
    assert files_in(tmp_path) == {"orders.00002.csv"}


def test_a_server_that_ends_every_session(postgres: PostgresDatabase, tmp_path: Path) -> None:
    """An error, and nothing appears."""

    def kill(_snapshot: Snapshot) -> None:
        postgres.kill_sessions()

    where = "id < 10 OR pg_sleep(600) IS NULL"
    with pytest.raises(penstock.SourceError):
        penstock.copy(postgres.uri, tmp_path / "orders.csv", table="orders", where=where, partitions=3, progress=kill)
    assert files_in(tmp_path) == set()


@pytest.mark.parametrize("limit", ["timeout", "stall_timeout"])
def test_a_deadline_stops_every_partition(postgres: PostgresDatabase, tmp_path: Path, limit: str) -> None:
    """One of them waits at the server; its query is stopped there, and the parts that are complete go as well."""
    error = penstock.DeadlineExceeded if limit == "timeout" else penstock.StallError
    where = "id < 19000 OR pg_sleep(600) IS NULL"
    with pytest.raises(error, match="source"), leakcheck():
        penstock.copy(postgres.uri, tmp_path / "orders.csv", table="orders", where=where, partitions=3, **{limit: 1.5})
    assert files_in(tmp_path) == set()
    assert postgres.sessions() == []


@pytest.mark.parametrize("limit", ["timeout", "stall_timeout"])
def test_a_deadline_while_ranges_are_looked_up(postgres: PostgresDatabase, tmp_path: Path, limit: str) -> None:
    """The least value of a column that the server has to compute for ever."""
    error = penstock.DeadlineExceeded if limit == "timeout" else penstock.StallError
    query = "SELECT id FROM orders WHERE pg_sleep(600) IS NULL"
    with pytest.raises(error, match="was not divided into partitions yet"), leakcheck():
        penstock.copy(
            postgres.uri, tmp_path / "orders.csv", query=query, partitions=3, partition_by="id", **{limit: 0.5}
        )
    assert files_in(tmp_path) == set()
    assert postgres.sessions() == []


# --- what makes no sense ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "destination", "options", "complaint"),
    [
        ("postgresql://h/db", "-", {}, "-: partitions can not be used here: .* can not be taken back"),
        ("postgresql://h/db", "http://localhost/in", {}, "partitions can not be used here: .* can not be taken back"),
        ("postgresql://h/db", "sqlite:///x.db", {"to_table": "t"}, "partitions can not be used here: a database takes"),
        (
            "postgresql://h/db",
            MemorySink(),
            {},
            "partitions can not be used here: the destination is an object, not files",
        ),
        (
            "postgresql://h/db",
            MemoryTable(),
            {},
            "partitions can not be used here: the destination is an object, not files",
        ),
        (
            "postgresql://h/db",
            "o.csv",
            {"max_file_size": "1MiB"},
            "partitions and max_file_size can not be used together",
        ),
        ("postgresql://h/db", "o.csv", {"limit": 5}, "limit can not be used with partitions"),
        ("postgresql://h/db", "o.csv", {"table": None, "query": "select 1"}, "name a column with partition_by"),
        ("sqlite:///shop.db", "o.csv", {}, "shop.db.*only tables of PostgreSQL and MySQL can"),
        ("duckdb:///shop.duckdb", "o.csv", {}, "only tables of PostgreSQL and MySQL can"),
        ("mysql://h/db", "o.csv", {"limit": 5}, "limit can not be used with partitions"),
        (
            "mysql://h/db",
            "o.csv",
            {"table": None, "query": "select 1"},
            "a query of MySQL can not be read in partitions",
        ),
        ("mongodb://h/db", "o.ndjson", {}, "only tables of PostgreSQL and MySQL can"),
        ("https://h/data.csv", "o.csv", {"table": None}, "only tables of PostgreSQL and MySQL can"),
        ("data.csv", "o.csv", {"table": None}, "only tables of PostgreSQL and MySQL can"),
        ("-", "o.csv", {"table": None, "source_format": "csv"}, "only tables of PostgreSQL and MySQL can"),
        ([{"a": 1}], "o.csv", {"table": None}, "only tables of PostgreSQL and MySQL can"),
        ("postgresql://h/db", "o.csv", {"partitions": 0}, "partitions must be a whole number above zero, not 0"),
        ("postgresql://h/db", "o.csv", {"partitions": 2.0}, "a whole number above zero, not 2.0"),
        (
            "postgresql://h/db",
            "o.csv",
            {"partitions": 1, "partition_by": "id"},
            "into how many ranges that column divides",
        ),
        ("postgresql://h/db", "o.csv", {"engine": "Locale"}, "unknown engine 'Locale': did you mean 'local'"),
        (
            "postgresql://h/db",
            "o.csv",
            {"engine": "ray"},
            "'ray': there is 'local', whose partitions are threads of this",
        ),
    ],
)
def test_what_can_not_be_done_is_refused_before_anything_is_touched(
    source: Any, destination: Any, options: dict[str, Any], complaint: str
) -> None:
    """With the reason, and what can."""
    with pytest.raises(penstock.ConfigurationError, match=complaint):
        penstock.plan(source, destination, **{"table": "orders", "partitions": 3, **options})


def test_memory_is_for_all_of_them() -> None:
    """Each has its share; one that is too small says how many would do, or how much."""
    planned = penstock.plan("postgresql://h/db", "o.csv", table="t", partitions=8)
    assert planned.memory.max_memory == 16 << 20
    assert "for each of 8 partitions 16.0 MiB in flight" in str(planned)
    too_many = (
        r"128.0 MiB is 12.8 MiB for each of 10 partitions, and each needs 16.0 MiB: .* 160.0 MiB, or partitions 8"
    )
    with pytest.raises(penstock.ConfigurationError, match=too_many):
        penstock.plan("postgresql://h/db", "o.csv", table="t", partitions=10)
    with pytest.raises(penstock.ConfigurationError, match=r"max_memory may be 32.0 MiB$"):
        penstock.plan("postgresql://h/db", "o.csv", table="t", partitions=2, max_memory="20MiB")


def test_steps_of_a_flow_are_refused() -> None:
    """They would run in several threads, each seeing some of the rows."""
    flow = penstock.read("postgresql://h/db", table="t").filter(bool)
    with pytest.raises(penstock.ConfigurationError, match="steps see the rows one after the other"):
        flow.plan("o.csv", partitions=2)


def test_the_plan_shows_the_ranges(postgres: PostgresDatabase, tmp_path: Path) -> None:
    """How many, which rows, which snapshot; nothing is written, and the plan can still be run."""
    planned = penstock.plan(postgres.uri, tmp_path / "orders.csv", table="orders", partitions=6, partition_by="id")
    seen = penstock.preview(planned)
    assert (
        "partitions:  6, a file each, and a manifest: id < 3334 or NULL; 3334 <= id < 6667; 6667 <= id < 10001; ...; id >= 16667"
        in str(seen)
    )
    assert "consistency: one snapshot, exported by one read-only transaction and taken by that of every" in str(seen)
    assert "memory:      for each of 6 partitions" in str(seen)
    told = seen.to_dict()
    assert (told["partitions"], len(told["ranges"]), told["estimated_files"]) == (6, 6, 6)
    assert files_in(tmp_path) == set()
    assert penstock.copy(postgres.uri, tmp_path / "orders.csv", table="orders", partitions=6).rows == ROWS
