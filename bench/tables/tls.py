"""PostgreSQL under TLS, beside the same copies in the clear: ``python -m bench.tables.tls``.

The server encrypts on the same machine, so a part of the difference is the server's.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import penstock
from bench.tables.jobs import Job
from bench.tables.movers import PACES, versions
from bench.tables.page import facts_with, update_page
from bench.tables.plans import PLANS
from bench.tables.report import FORMATS
from bench.tables.runs import contenders, in_turns
from bench.tables.systems import TABLE, Place, Table, lineitem, temporary_files_in_memory
from tests.connectors.tls import make_certificate, own_address
from tests.servers.postgres import run_postgres

if TYPE_CHECKING:
    from tests.servers.postgres import PostgresDatabase

__all__ = ["MODES", "table"]

RESULTS = Path("bench/results")
FIGURES = RESULTS / "tls.json"
MODES = {"disable": "in the clear", "require": "under TLS"}
MOVERS = ("psql", "penstock")
Json = dict[str, Any]


def main() -> int:
    """Measure, print the table, save the figures; 1 if a copy failed."""
    options = _parser().parse_args()
    temporary_files_in_memory()
    RESULTS.mkdir(parents=True, exist_ok=True)
    rows = lineitem(options.rows, RESULTS)
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder, _server(rows, Path(folder)) as database:
        results = [
            result for name in FORMATS for result in _measured(database, name, rows.rows, options.rounds, Path(folder))
        ]
    facts = facts_with(["penstock", "pyarrow", "psycopg"], versions(result["mover"] for result in results))
    FIGURES.write_text(json.dumps({"machine": facts, "results": results}, indent=1), "utf-8")
    if any(result["failed"] for result in results):
        return 1
    text = table(results)
    print(text)
    if options.update_page:
        how = f"medians of {options.rounds} runs and their most memory"
        update_page("tables-tls", text, module="bench.tables.tls", facts=facts, how=how)
    return 0


def table(results: list[Json]) -> str:
    """Return a line for each way, with rows/s, memory and processor time in the clear and under TLS."""
    lines = [
        f"| To | Who | {' | '.join(f'Rows/s {mode}' for mode in MODES.values())} | Ratio | Peak memory | CPU, s per M rows |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    found = {(result["format"], result["mover"], result["facts"]): result for result in results}
    for name, who in dict.fromkeys((result["format"], result["mover"]) for result in results):
        clear, encrypted = (found[name, who, mode] for mode in MODES.values())
        speeds = clear["rows_per_second"], encrypted["rows_per_second"]
        peaks = " and ".join(f"{each['peak_bytes'] / 1e6:.0f}" for each in (clear, encrypted))
        times = " and ".join(f"{each['cpu_seconds'] / each['rows'] * 1e6:.1f}" for each in (clear, encrypted))
        ways = f"{FORMATS[name]} | {who} | {speeds[0]:,.0f} | {speeds[1]:,.0f}"
        lines.append(f"| {ways} | {speeds[1] / speeds[0]:.2f}x | {peaks} MB | {times} |")
    return "\n".join(lines)


@contextmanager
def _server(rows: Table, folder: Path) -> Iterator[PostgresDatabase]:
    certificate = make_certificate(folder, f"IP:{own_address()}")
    with run_postgres(address=own_address(), certificate=certificate) as server:
        database = server.new_database()
        penstock.copy(rows.path, database.uri, to_table=TABLE)
        database.execute("VACUUM ANALYZE")
        yield database


def _measured(database: PostgresDatabase, name: str, rows: int, rounds: int, folder: Path) -> list[Json]:
    """Run who can write this format, in the clear and under TLS in turns."""
    plan = replace(PLANS["full"], rounds=rounds, only=MOVERS)
    places = [Place("postgres", database.uri_with(sslmode=mode), shown) for mode, shown in MODES.items()]
    target, scratch = f"{folder}/out.{name}", f"{folder}/scratch"
    jobs = [Job(place, name, "file", target, TABLE, rows, scratch) for place in places]
    return in_turns(list(chain.from_iterable(contenders(dict.fromkeys(PACES, job), plan, set()) for job in jobs)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.tables.tls", description="Copy lineitem with and without TLS."
    )
    parser.add_argument("--rows", type=int, default=PLANS["full"].rows["fast"])
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, of which the median counts")
    parser.add_argument("--update-page", action="store_true", help="put the table into docs/performance.md")
    return parser


if __name__ == "__main__":
    sys.exit(main())
