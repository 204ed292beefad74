"""The table, in every system it is read from."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.servers import Unavailable
from tests.servers.s3 import S3Server, run_s3

__all__ = [
    "PEERS",
    "TABLE",
    "Place",
    "Table",
    "connected",
    "lineitem",
    "loaded",
    "object_store",
    "repeated",
    "settle",
    "started",
    "temporary_files_in_memory",
]

PEERS = Path(".venvs/peers/bin")
TABLE = "lineitem"
ROWS_PER_SCALE = 6_001_215


def temporary_files_in_memory() -> None:
    """Have temporary files of this process, and of those it starts, in memory where that can be, to measure no disk."""
    os.environ["TMPDIR"] = tempfile.tempdir = "/dev/shm" if Path("/dev/shm").is_dir() else tempfile.gettempdir()


@dataclass(frozen=True)
class Table:
    """Rows in a Parquet file, to be loaded from."""

    path: Path
    rows: int


@dataclass(frozen=True)
class Place:
    """Where the table is to be read from.

    Attributes:
        kind: ``"postgres"``, ``"mysql"``, ``"sqlite"`` or ``"duckdb"``.
        uri: of the database; for these private servers the password may be seen.
        facts: version of the system.
    """

    kind: str
    uri: str = field(repr=False)
    facts: str


def lineitem(rows: int, folder: Path) -> Table:
    """Generate the first ``rows`` rows, once; the file is kept in ``folder``."""
    import pyarrow.parquet as pq

    path = folder / f"{TABLE}-{rows}.parquet"
    if not path.exists():
        made = folder / "tpch"
        scale = f"{rows * 1.002 / ROWS_PER_SCALE:.4f}"
        program = PEERS / "tpchgen-cli"
        if not program.exists():
            raise Unavailable(f"no rows: {program} does not exist; `make .venvs/peers` installs it")
        command = [program, "parquet", "--scale-factor", scale, "--tables", TABLE, "--output-dir", str(made)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _cut(made / f"{TABLE}.parquet", path, rows)
        shutil.rmtree(made)
    return Table(path, pq.read_metadata(path).num_rows)


def _cut(source: Path, target: Path, rows: int) -> None:
    """Copy the first ``rows`` rows, a batch at a time."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(source) as file, pq.ParquetWriter(target, file.schema_arrow) as writer:
        for batch in file.iter_batches(100_000):
            taken = batch.slice(0, max(0, rows))
            rows -= taken.num_rows
            if taken.num_rows:
                writer.write_batch(taken)


@contextmanager
def loaded(kind: str, table: Table, folder: Path) -> Iterator[Place]:
    """Start the system and load the table, with Penstock itself: SQLite, which has neither, gets decimals and dates as text."""
    import penstock

    with ExitStack() as stack:
        place = started(kind, stack, folder)
        penstock.copy(table.path, place.uri, to_table=TABLE, if_exists="overwrite")
        settle(place)
        yield place


def repeated(place: Place, name: str, rows: int) -> None:
    """Have the database itself make a table called ``name``, of as many ``rows`` of lineitem, over and over if need be."""
    [[whole]] = _execute(place, [f"SELECT count(*) FROM {TABLE}"])
    times, rest = divmod(rows, whole)
    statements = [f"CREATE TABLE {name} AS SELECT * FROM {TABLE} LIMIT {rest}"]
    statements += [f"INSERT INTO {name} SELECT * FROM {TABLE}"] * times
    _execute(place, statements)
    settle(place)


def settle(place: Place) -> None:
    """Let PostgreSQL do now what it would else do in the background, or while somebody is first to read the table."""
    if place.kind == "postgres":
        _execute(place, ["VACUUM ANALYZE"])


def _execute(place: Place, statements: list[str]) -> list[tuple[Any, ...]]:
    """Execute each in a transaction of its own; return the rows of the last, if it has some."""
    with closing(connected(place)) as connection:
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        return list(cursor.fetchall()) if cursor.description else []


def connected(place: Place) -> Any:
    """Return a connection to it, which commits each statement."""
    if place.kind == "postgres":
        import psycopg

        return psycopg.connect(place.uri, autocommit=True)
    if place.kind == "mysql":
        import pymysql

        parts = urlsplit(place.uri)
        login = {"host": parts.hostname, "port": parts.port, "user": parts.username, "password": parts.password}
        return pymysql.connect(**login, database=parts.path[1:], autocommit=True)
    if place.kind == "sqlite":
        import sqlite3

        return sqlite3.connect(place.uri.removeprefix("sqlite:///"), isolation_level=None)
    import duckdb

    return duckdb.connect(place.uri.removeprefix("duckdb:///"))


def started(kind: str, stack: ExitStack, folder: Path) -> Place:
    """Start an empty system, which ends with ``stack``.

    Raises:
        Unavailable: it can not be had here.
    """
    if kind == "postgres":
        from tests.servers.postgres import run_postgres

        database = stack.enter_context(run_postgres()).new_database()
        [[version]] = database.execute("show server_version")
        return Place(kind, database.uri, f"PostgreSQL {version}")
    if kind == "mysql":
        from tests.servers.mariadb import run_mariadb

        maria = stack.enter_context(run_mariadb()).new_database()
        [[version]] = maria.execute("select version()")
        number, _, build = str(version).partition("-")
        return Place(kind, maria.uri, f"{build.partition('-')[0] or 'MySQL'} {number}")
    if kind == "sqlite":
        import sqlite3

        return Place(kind, f"sqlite:///{folder}/{TABLE}.db", f"SQLite {sqlite3.sqlite_version}")
    if kind == "duckdb":
        import duckdb

        return Place(kind, f"duckdb:///{folder}/{TABLE}.duckdb", f"DuckDB {duckdb.__version__}")
    raise Unavailable(f"no such source: {kind}")


@contextmanager
def object_store() -> Iterator[S3Server]:
    """Start a private S3 store with a bucket called ``bench``."""
    with run_s3() as server:
        server.create_bucket("bench")
        yield server
