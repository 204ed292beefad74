"""Who takes part."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bench.tables import commands
from bench.tables.jobs import Command, Job
from bench.tables.systems import PEERS

__all__ = ["MOVERS", "PACES", "Mover", "versions"]

PACES = ("fast", "slow", "slowest")


@dataclass(frozen=True)
class Mover:
    """A program that may do a job.

    Attributes:
        name: as tables show it.
        command: returns the command for a job; None where the mover has no business. Raises NotRunError where it has but cannot.
        package: distribution among the peers whose version is told, or a program that tells its own; ``""`` for none.
        reference: whether it is what others are compared with, at its database.
        pace: one of ``PACES``, for each of which there is a number of rows.
    """

    name: str
    command: Callable[[Job], Command | None]
    package: str = ""
    reference: bool = False
    pace: str = "fast"


MOVERS = (
    Mover("psql COPY", commands.own_tool("postgres"), "psql", reference=True),
    Mover("mariadb --batch --quick", commands.own_tool("mysql"), "mariadb", reference=True),
    Mover("sqlite3 -csv", commands.own_tool("sqlite"), "sqlite3", reference=True),
    Mover("DuckDB COPY TO", commands.own_tool("duckdb"), "duckdb", reference=True),
    Mover("penstock", commands.penstock),
    Mover("ADBC + pyarrow", commands.adbc, "adbc-driver-manager"),
    Mover("ConnectorX + pyarrow", commands.connectorx, "connectorx"),
    Mover("apitap", commands.apitap, "apitap"),
    Mover("dlt, pyarrow", commands.dlt("pyarrow"), "dlt", pace="slow"),
    Mover("dlt, row by row", commands.dlt("sqlalchemy"), "dlt", pace="slowest"),
    Mover("sling", commands.sling, "sling-linux-amd64", pace="slow"),
    Mover("cursor loop", commands.cursor_loop, pace="slow"),
)

_PROGRAMS = {"psql": "psql", "mariadb": "mariadb", "sqlite3": "sqlite3"}
_VERSIONS = "import importlib.metadata as m, json, sys; print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"


def versions(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of those of these ``names`` that are not Penstock, as they tell themselves."""
    given = set(names)
    asked = dict.fromkeys(mover.package for mover in MOVERS if mover.name in given and mover.package)
    found = {name: _told_by(name) for name in asked if name in _PROGRAMS}
    packages = [name for name in asked if name not in _PROGRAMS]
    if packages:
        command = [str(PEERS / "python"), "-c", _VERSIONS, *packages]
        found |= json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def _told_by(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        return "not installed"
    said = subprocess.run([path, "--version"], check=True, capture_output=True, text=True).stdout
    return re.findall(r"\d+(?:\.\d+)+", said)[-1]  # mariadb tells that of its protocol first
