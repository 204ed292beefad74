"""`--partitions` and `--partition-by` end to end."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import Penstock, finish
from tests.connectors.mysql_partitions import SLOW, make_numbered
from tests.connectors.mysql_parts import nobody_left, running
from tests.servers.s3 import S3Server

if TYPE_CHECKING:
    from tests.servers.mariadb import MariaDbDatabase
    from tests.servers.postgres import PostgresDatabase, PostgresServer

#: The last row of the last range comes never.
ENDLESS = ["--where", "id < 20000 OR pg_sleep(600) IS NULL"]


@pytest.fixture(scope="module", name="postgres")
def shop_database(postgres_server: PostgresServer) -> Iterator[PostgresDatabase]:
    """A database with 20,000 orders, and a view of them that fails at one."""
    database = postgres_server.new_database()
    database.execute("CREATE TABLE orders AS SELECT i AS id, md5(i::text) AS word FROM generate_series(1, 20000) i")
    database.execute("CREATE VIEW failing AS SELECT id, 1 / (id - 100) AS n FROM orders")
    yield database
    postgres_server.drop_database(database)


def test_several_files_at_once(penstock: Penstock, postgres: PostgresDatabase) -> None:
    """One line says where the manifest is; every file is in it; the summary adds up."""
    flags = ["-t", "orders", "--partitions", "3", "--engine", "local", "--summary", "summary.json"]
    result = penstock("cp", postgres.uri, "orders.parquet", *flags)
    assert result.code == 0, result.stderr
    assert result.line.startswith("penstock: 20,000 rows, ")
    assert result.line.endswith("nothing left behind -> orders.manifest.json")
    manifest = json.loads((penstock.folder / "orders.manifest.json").read_text())
    names = [f"orders.{number:05}.parquet" for number in (1, 2, 3)]
    assert [part["name"] for part in manifest["parts"]] == names
    assert penstock.files() == {"orders.manifest.json", "summary.json", *names}
    summary = json.loads((penstock.folder / "summary.json").read_text())
    assert (summary["rows"], summary["details"]["partitions"]) == (20_000, 3)
    assert len(summary["details"]["ranges"]) == 3


def test_a_plan_of_partitions(penstock: Penstock, postgres: PostgresDatabase) -> None:
    """Ranges and snapshot, in words and as JSON; `--dry-run` says the same."""
    copy = [postgres.uri, "orders.csv", "-t", "orders", "--partitions", "2", "--partition-by", "id"]
    words = penstock("plan", *copy)
    assert words.code == 0
    assert b"partitions:  2, a file each, and a manifest: id < 10001 or NULL; id >= 10001\n" in words.stdout
    assert penstock("cp", "--dry-run", *copy).stdout == words.stdout
    told = json.loads(penstock("plan", "--json", *copy).stdout)
    assert told["ranges"] == ["id < 10001 or NULL", "id >= 10001"]
    assert penstock.files() == set()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"])
def test_a_signal_half_way_leaves_no_file(
    penstock: Penstock, postgres: PostgresDatabase, number: signal.Signals, code: int
) -> None:
    """The files that are there already go as well, and no query runs on."""
    process = penstock.start("cp", postgres.uri, "orders.csv", "-t", "orders", *ENDLESS, "--partitions", "3")
    penstock.wait_until((penstock.folder / "orders.00001.csv").exists)
    penstock.wait_until((penstock.folder / "orders.00002.csv").exists)
    process.send_signal(number)
    result = finish(process)
    assert result.code == code
    assert result.line == f"penstock: stopped by {number.name} before the copy was complete"
    assert penstock.files() == set()
    penstock.wait_until(lambda: postgres.sessions() == [])


def test_a_signal_half_way_leaves_no_object(
    penstock: Penstock, postgres: PostgresDatabase, s3_server: S3Server, bucket: str
) -> None:
    """Nor an upload."""
    target = f"s3://{bucket}/to/orders.csv"
    flags = ["-t", "orders", *ENDLESS, "--partitions", "3"]
    process = penstock.start("cp", postgres.uri, target, *flags, **s3_server.environment)
    penstock.wait_until(lambda: len(s3_server.objects(bucket)) == 2)
    process.send_signal(signal.SIGTERM)
    assert finish(process).code == 143
    assert s3_server.objects(bucket) == {}
    assert s3_server.uploads(bucket) == []


def test_a_signal_while_the_store_thinks_about_a_part(
    penstock: Penstock, postgres: PostgresDatabase, s3_server: S3Server, bucket: str
) -> None:
    """It has the part, and would keep it; so its answer is waited for, and the part removed."""
    before = s3_server.statistics().held.get("PutObject", 0)
    s3_server.hold("PutObject", is_whole=True)
    flags = ["-t", "orders", *ENDLESS, "--partitions", "3"]
    process = penstock.start("cp", postgres.uri, f"s3://{bucket}/orders.csv", *flags, **s3_server.environment)
    penstock.wait_until(lambda: s3_server.statistics().held.get("PutObject", 0) > before)
    process.send_signal(signal.SIGTERM)
    s3_server.heal()
    assert finish(process).code == 143
    assert s3_server.objects(bucket) == {}


def test_a_full_disk(penstock: Penstock, postgres: PostgresDatabase) -> None:
    """No file may become larger than 64 KiB in this process; every partition that meets that says so, in a line."""
    limited = (
        "import resource, runpy, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536)); runpy.run_module('penstock', run_name='__main__')"
    )
    flags = ["-t", "orders", "--partitions", "3"]
    result = finish(penstock.start("cp", postgres.uri, "orders.csv", *flags, program=("-c", limited)))
    assert result.code == 4
    lines = result.stderr.splitlines()
    assert 1 <= len(lines) <= 3
    for line in lines:
        assert "File too large (files may not be larger there; nothing was left behind)" in line
    assert penstock.files() == set()


def test_a_failure_in_one_partition(penstock: Penstock, postgres: PostgresDatabase) -> None:
    """The code of a source, one line that says which, and no file."""
    flags = ["-t", "failing", "--partitions", "4", "--partition-by", "id"]
    result = penstock("cp", postgres.uri, "orders.ndjson", *flags)
    assert result.code == 3
    assert "failing, partition 1 of 4: division by zero" in result.line
    assert penstock.files() == set()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ["orders.csv", "-t", "failing", "--partitions", "2"],
            "a view has no order of its own on the disk; name a column",
        ),
        (["orders.csv", "-t", "orders", "--partitions", "0"], "is not a whole number above zero"),
        (
            ["orders.csv", "-t", "orders", "--partition-by", "id"],
            "say into how many ranges that column divides the rows",
        ),
        (["orders.csv", "-t", "orders", "--engine", "lokal"], "did you mean 'local'?"),
        (["-", "-t", "orders", "--partitions", "2"], "can not be taken back"),
        (["orders.csv", "-t", "orders", "--partitions", "20"], "max_memory may be 320.0 MiB, or partitions 8"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(
    penstock: Penstock, postgres: PostgresDatabase, arguments: list[str], complaint: str
) -> None:
    """Code 2, and what to do."""
    result = penstock("cp", postgres.uri, *arguments)
    assert result.code == 2
    assert complaint in result.line
    assert penstock.files() == set()


# --- MySQL and MariaDB --------------------------------------------------------------------------------------------------


def test_files_of_mysql(penstock: Penstock, mariadb: MariaDbDatabase) -> None:
    """As of PostgreSQL; the plan says by what column, and how all are of one state."""
    make_numbered(mariadb, name="orders")
    copy = [mariadb.uri, "orders.parquet", "-t", "orders", "--partitions", "2"]
    plan = penstock("plan", *copy).stdout
    assert b"partitions:  2, a file each, and a manifest: id < 501 or NULL; id >= 501\n" in plan
    assert b"consistency: one state, for which the table is locked against writes while every partition's" in plan
    result = penstock("cp", *copy)
    assert (result.code, result.line.startswith("penstock: 1,000 rows, ")) == (0, True), result.stderr
    assert penstock.files() == {"orders.manifest.json", "orders.00001.parquet", "orders.00002.parquet"}
    result = penstock("cp", mariadb.uri, "x.csv", "-t", "orders", "--partitions", "2", "--partition-by", "word")
    assert (result.code, "'word' is varchar(40)" in result.line) == (2, True)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("when", ["locking", "reading"])
def test_a_signal_leaves_nothing_at_mysql(
    penstock: Penstock, mariadb: MariaDbDatabase, when: str, number: signal.Signals, code: int
) -> None:
    """Neither while it waits for the lock, nor while it reads: no session, so no lock, and no file."""
    make_numbered(mariadb, name="orders")
    flags = ["-t", "orders", "--partitions", "2", *(["--where", SLOW] if when == "reading" else [])]
    with closing(mariadb.connect()) as writer, writer.cursor() as cursor:
        if when == "locking":
            writer.begin()
            cursor.execute("UPDATE orders SET word = 'unsure' WHERE id = 1")
        process = penstock.start("cp", mariadb.uri, "orders.csv", *flags)
        expected = ["LOCK TABLES"] if when == "locking" else ["SELECT * FROM `orders`"] * 2
        penstock.wait_until(lambda: [text[: len(expected[0])] for text in running(mariadb)] == expected)
        process.send_signal(number)
        result = finish(process)
    assert result.code == code
    assert penstock.files() == set()
    nobody_left(mariadb)
    mariadb.execute("UPDATE orders SET word = 'new'")
