"""Whole programs that move a table: what they leave when the query fails half-way, or when they are told to end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.tables.systems import PEERS
from tests.servers.postgres import PostgresDatabase
from tests.servers.s3 import S3Server

__all__ = ["PROGRAMS", "TARGETS", "Left", "left_by"]

ROWS = 300_000
FAULTY_ROW = 250_000
PATIENCE_SECONDS = 120.0
SOON_SECONDS = 15.0
PEER_SCRIPTS = Path(__file__).parents[1] / "tables" / "peers"

TARGETS = ("csv on file", "csv.gz on file", "csv on s3", "csv.gz on s3")
_VIEWS = {
    "source": f"SELECT i AS id, repeat(md5(i::text), 7) AS note, 1 / ({FAULTY_ROW} - i) AS n FROM generate_series(1, {ROWS}) i",
    "sigterm": f"SELECT i AS id, repeat(md5(i::text), 7) AS note, CASE WHEN i = {FAULTY_ROW} THEN length(pg_sleep(600)::text) ELSE 0 "
    f"END AS n FROM generate_series(1, {ROWS}) i",
}


@dataclass(frozen=True)
class Left:
    """What there was afterwards.

    Attributes:
        code: exit code; None if it had to be killed.
        found: names and sizes of what can be seen at the destination.
        uploads: uploads that nobody has ended.
        sessions: sessions that the database still has.
    """

    code: int | None
    found: dict[str, int]
    uploads: int
    sessions: int

    def __str__(self) -> str:
        seen = [f"**{size / (1 << 20):.0f} MiB visible**" for size in self.found.values()]
        left = [f"**{self.uploads} upload open**"] if self.uploads else []
        left += [f"**{self.sessions} sessions**"] if self.sessions else []
        said = {None: ["**did not end**"], 0: ["**exit code 0**"]}.get(self.code, [])
        return ", ".join(seen + left + said) or "nothing"


@dataclass(frozen=True)
class _Place:
    folder: Path
    store: S3Server
    bucket: str
    uri: str

    def target(self, what: str) -> str:
        suffix, _, kind = what.partition(" on ")
        return f"s3://{self.bucket}/half.{suffix}" if kind == "s3" else str(self.folder / f"half.{suffix}")


def _penstock(place: _Place, what: str) -> tuple[list[str], dict[str, str]]:
    command = [
        sys.executable,
        "-m",
        "penstock",
        "cp",
        place.uri,
        place.target(what),
        "-t",
        "failing",
        "--part-size",
        "5MiB",
    ]
    return [*command, "--concurrency", "1"], {}


def _sling(place: _Place, what: str) -> tuple[list[str], dict[str, str]] | None:
    program = next(PEERS.parent.glob("lib/python*/site-packages/sling_linux_amd64/bin/sling-linux-amd64"), None)
    if program is None:
        return None
    compression = "gzip" if ".gz" in what else "none"
    options = f"{{format: csv, compression: {compression}, file_max_bytes: 0}}"
    target = place.target(what)
    command = [str(program), "run", "--src-conn", f"{place.uri}?sslmode=disable", "--src-stream", "public.failing"]
    if what.endswith("s3"):
        store = place.store
        connection = {
            "type": "s3",
            "bucket": place.bucket,
            "access_key_id": store.access_key,
            "secret_access_key": store.secret_key,
            "endpoint": store.endpoint,
            "region": store.region,
        }
        where = ["--tgt-conn", "BENCH_STORE", "--tgt-object", target]
        return [*command, *where, "--tgt-options", options], {"BENCH_STORE": json.dumps(connection)}
    return [*command, "--tgt-object", f"file://{target}", "--tgt-options", options], {}


def _dlt(place: _Place, what: str) -> tuple[list[str], dict[str, str]] | None:
    if what != "csv on file" or not (PEERS / "python").exists():
        return None
    target = place.target(what)
    command = [str(PEERS / "python"), str(PEER_SCRIPTS / "dlt_.py"), place.uri, "failing", "csv", target]
    return [*command, "pyarrow", f"{target}.state"], {}


PROGRAMS: dict[str, Callable[[_Place, str], tuple[list[str], dict[str, str]] | None]] = {
    "`penstock cp`": _penstock,
    "sling": _sling,
    "dlt, pyarrow backend": _dlt,
}


def left_by(program: str, what: str, fault: str, database: PostgresDatabase, store: S3Server) -> Left | None:
    """Run one program; return what is left, or None if it cannot do that."""
    database.execute("DROP VIEW IF EXISTS failing")
    database.execute(f"CREATE VIEW failing AS {_VIEWS[fault]}")
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder:
        place = _Place(Path(folder), store, store.create_bucket(), database.uri)
        told = PROGRAMS[program](place, what)
        if told is None:
            return None
        command, variables = told
        environment = {**os.environ, **store.environment, **variables}
        with subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            if fault == "sigterm":
                _wait(lambda: _sleeps(database) or process.poll() is not None)
                time.sleep(2)  # what was read by then is on its way to the destination
                process.send_signal(signal.SIGTERM)
            code = _ended(process)
        _wait(lambda: not database.sessions(), SOON_SECONDS)
        sessions = len(database.sessions())
        database.kill_sessions()
        return Left(code, dict(_found(place, what)), len(store.uploads(place.bucket)), sessions)


def _sleeps(database: PostgresDatabase) -> bool:
    [[count]] = database.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
    return bool(count)


def _wait(condition: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)


def _ended(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return None


def _found(place: _Place, what: str) -> Iterator[tuple[str, int]]:
    if what.endswith("s3"):
        yield from place.store.objects(place.bucket).items()
        return
    for file in place.folder.rglob("*"):
        if file.is_file() and ".state" not in str(file) and "_dlt" not in str(file) and file.name != "init":
            yield file.name, file.stat().st_size
