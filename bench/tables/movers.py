"""Who takes part: for each, the command that reads the table and writes one file or object, where there is one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from bench.tables.systems import TABLE, Place

__all__ = ["MOVERS", "Job", "Mover", "available", "versions"]

PEERS = Path(".venvs/peers/bin")
SCRIPTS = Path(__file__).parent / "peers"


@dataclass(frozen=True)
class Job:
    """One thing to be done.

    Attributes:
        place: where from.
        format: ``"csv"``, ``"ndjson"`` or ``"parquet"``.
        sink: ``"file"`` or ``"s3"``.
        target: path of the file, or address of the object.
    """

    place: Place
    format: str
    sink: str
    target: str


@dataclass(frozen=True)
class Mover:
    """A program that may do a job.

    Attributes:
        name: as tables show it.
        command: returns the command for a job, or None if it cannot do it.
        package: distribution among the peers whose version is told; ``""`` for none.
        to_stdout: whether the file is what it writes to standard output.
        environment: variables it needs.
    """

    name: str
    command: Callable[[Job], list[str] | None]
    package: str = ""
    to_stdout: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


def _penstock(job: Job) -> list[str]:
    command = [sys.executable, "-m", "penstock", "cp", job.place.uri, job.target, "--table", TABLE]
    return [*command, "--format", job.format, "--if-exists", "overwrite", "--quiet"]


def _psql(job: Job) -> list[str] | None:
    program = shutil.which("psql")
    if program is None or (job.place.kind, job.format, job.sink) != ("postgres", "csv", "file"):
        return None
    return [program, job.place.uri, "-c", f"COPY (SELECT * FROM {TABLE}) TO STDOUT (FORMAT csv, HEADER)"]


def _script(name: str, kinds: set[str], formats: set[str]) -> Callable[[Job], list[str] | None]:
    def command(job: Job) -> list[str] | None:
        python = PEERS / "python"
        if not python.exists() or job.place.kind not in kinds or job.format not in formats or job.sink != "file":
            return None
        return [str(python), str(SCRIPTS / name), job.place.uri, TABLE, job.format, job.target]

    return command


def _sling(job: Job) -> list[str] | None:
    # The binary itself: its Python wrapper starts itself without end.
    program = next(PEERS.parent.glob("lib/python*/site-packages/sling_linux_amd64/bin/sling-linux-amd64"), None)
    # For Parquet and for DuckDB it would fetch DuckDB from the network.
    if program is None or job.sink != "file" or job.format == "parquet" or job.place.kind == "duckdb":
        return None
    kind = {"ndjson": "jsonlines"}.get(job.format, job.format)
    uri, table = job.place.uri, f"{urlsplit(job.place.uri).path[1:]}.{TABLE}"
    if job.place.kind == "postgres":
        uri, table = f"{uri}?sslmode=disable", f"public.{TABLE}"
    elif job.place.kind == "sqlite":
        uri, table = uri.replace("sqlite:////", "sqlite:///"), f"main.{TABLE}"  # it takes a path for absolute as it is
    options = f"{{format: {kind}, file_max_bytes: 0}}"
    target = f"file://{Path(job.target).resolve()}"
    return [
        str(program),
        "run",
        "--src-conn",
        uri,
        "--src-stream",
        table,
        "--tgt-object",
        target,
        "--tgt-options",
        options,
    ]


DATABASES = {"postgres", "mysql", "sqlite", "duckdb"}

MOVERS = (
    Mover("psql COPY", _psql, to_stdout=True),
    Mover("penstock", _penstock),
    Mover("ADBC + pyarrow", _script("adbc.py", {"postgres"}, {"parquet"}), "adbc-driver-postgresql"),
    Mover("ConnectorX", _script("connectorx_.py", {"postgres", "mysql"}, {"csv", "parquet"}), "connectorx"),
    Mover("apitap", _script("apitap_.py", {"postgres", "mysql"}, {"parquet"}), "apitap"),
    Mover("dlt, pyarrow", _script("dlt_.py", {"postgres"}, {"csv", "ndjson", "parquet"}), "dlt"),
    Mover("sling", _sling, "sling-linux-amd64"),
    Mover("cursor loop", _script("naive.py", DATABASES, {"csv", "ndjson"})),
)


def available(job: Job) -> list[tuple[Mover, list[str]]]:
    """Return who can do ``job``, and how."""
    return [(mover, command) for mover in MOVERS if (command := mover.command(job)) is not None]


def versions(names: set[str]) -> dict[str, str]:
    """Return the versions of the peers among the movers of these ``names``, as their environment tells."""
    packages = [mover.package for mover in MOVERS if mover.name in names and mover.package]
    found: dict[str, str] = {}
    if packages:
        code = "import importlib.metadata as m, json, sys; print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"
        command = [str(PEERS / "python"), "-c", code, *packages]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    psql = shutil.which("psql")
    if psql is not None and "psql COPY" in names:
        said = subprocess.run([psql, "--version"], check=True, capture_output=True, text=True).stdout
        found["psql"] = said.split()[2]
    return found
