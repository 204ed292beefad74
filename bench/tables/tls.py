"""PostgreSQL under TLS, beside the same copies in the clear: ``python -m bench.tables.tls``.

Who encrypts is the server, on the same machine, so a part of the difference is the server's.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import penstock
from bench.tables.measure import measured
from bench.tables.page import facts_with, update_page
from bench.tables.systems import TABLE, lineitem
from tests.connectors.tls import make_certificate, own_address
from tests.servers.postgres import run_postgres

if TYPE_CHECKING:
    from tests.servers.postgres import PostgresDatabase

__all__ = ["MODES", "Copy", "table"]

RESULTS = Path("bench/results")
FIGURES = RESULTS / "tls.json"
MODES = {"disable": "in the clear", "require": "under TLS"}
FORMATS = {"csv": "CSV", "ndjson": "NDJSON", "parquet": "Parquet"}
PSQL = "psql COPY"
PATIENCE_SECONDS = 300.0


@dataclass(frozen=True)
class Copy:
    """One copy of the table into a file.

    Attributes:
        format: of the file.
        who: copied it.
        mode: of ``MODES``.
        rows: how many there were.
        seconds: from start to exit.
        peak_bytes: the most memory of all its processes.
        cpu_seconds: of all its processes.
    """

    format: str
    who: str
    mode: str
    rows: int
    seconds: float
    peak_bytes: int
    cpu_seconds: float


def main() -> int:
    """Measure, print the table, save the figures."""
    options = _parser().parse_args()
    os.environ["TMPDIR"] = tempfile.tempdir = "/dev/shm" if Path("/dev/shm").is_dir() else tempfile.gettempdir()
    RESULTS.mkdir(parents=True, exist_ok=True)
    rows = lineitem(options.rows, RESULTS)
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder, _server(rows.path, Path(folder)) as database:
        work = [("csv", PSQL), *((name, "penstock") for name in FORMATS)]
        copies = [
            _copy(database, name, who, mode, rows.rows, Path(folder))
            for _round, (name, who), mode in product(range(options.rounds), work, MODES)
        ]
    facts = facts_with(["penstock", "pyarrow", "psycopg"])
    FIGURES.write_text(json.dumps({"machine": facts, "copies": [asdict(copy) for copy in copies]}, indent=1), "utf-8")
    text = table(copies)
    print(text)
    if options.update_page:
        how = f"medians of {options.rounds} runs and their most memory"
        update_page("tables-tls", text, module="bench.tables.tls", facts=facts, how=how)
    return 0


def table(copies: list[Copy]) -> str:
    """Return a line for each way, with rows/s, memory and processor time in the clear and under TLS."""
    lines = [
        f"| To | Who | {' | '.join(f'Rows/s {mode}' for mode in MODES.values())} | Ratio | Peak memory | CPU, s per M rows |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, who in dict.fromkeys((copy.format, copy.who) for copy in copies):
        runs = [[copy for copy in copies if (copy.format, copy.who, copy.mode) == (name, who, mode)] for mode in MODES]
        speeds = [statistics.median(copy.rows / copy.seconds for copy in of_mode) for of_mode in runs]
        peaks = " and ".join(f"{max(copy.peak_bytes for copy in of_mode) / 1e6:.0f}" for of_mode in runs)
        times = " and ".join(
            f"{statistics.median(copy.cpu_seconds / copy.rows for copy in of_mode) * 1e6:.1f}" for of_mode in runs
        )
        shown = " | ".join(f"{speed:,.0f}" for speed in speeds)
        lines.append(f"| {FORMATS[name]} | {who} | {shown} | {speeds[1] / speeds[0]:.2f}x | {peaks} MB | {times} |")
    return "\n".join(lines)


@contextmanager
def _server(rows: Path, folder: Path) -> Iterator[PostgresDatabase]:
    certificate = make_certificate(folder, f"IP:{own_address()}")
    with run_postgres(address=own_address(), certificate=certificate) as server:
        database = server.new_database()
        penstock.copy(rows, database.uri, to_table=TABLE)
        database.execute("VACUUM ANALYZE")
        yield database


def _copy(database: PostgresDatabase, name: str, who: str, mode: str, rows: int, folder: Path) -> Copy:
    uri, path = database.uri_with(sslmode=mode), folder / f"out.{name}"
    if who == PSQL:
        command = ["psql", uri, "-qc", f"COPY {TABLE} TO STDOUT WITH (FORMAT csv, HEADER)", "-o", str(path)]
    else:
        command = [sys.executable, "-m", "penstock", "cp", uri, str(path), "--table", TABLE, "--quiet"]
    run = measured(command, {}, None, folder / "log", PATIENCE_SECONDS)
    if run.code:
        raise RuntimeError(f"{who} to {name} {MODES[mode]}: {run.said}")
    path.unlink()
    copy = Copy(name, who, mode, rows, run.seconds, run.peak_bytes, run.cpu_seconds)
    print(copy, file=sys.stderr, flush=True)
    return copy


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.tables.tls", description="Copy lineitem with and without TLS."
    )
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, of which the median counts")
    parser.add_argument("--update-page", action="store_true", help="put the table into docs/performance.md")
    return parser


if __name__ == "__main__":
    sys.exit(main())
