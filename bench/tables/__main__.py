"""``python -m bench.tables``."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from bench.tables.delivered import clear, delivered
from bench.tables.measure import Measured, measured
from bench.tables.movers import Job, available, versions
from bench.tables.page import facts_with, update_page
from bench.tables.report import table_of
from bench.tables.systems import TABLE, lineitem, loaded, object_store

RESULTS = Path("bench/results")
ENOUGH_SECONDS = 15.0  # who takes this long is not run again: noise is no matter then


def main() -> int:
    """Measure what was asked for; print a table, save the figures."""
    options = _parser().parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="penstock-bench-", dir=_memory()) as name, ExitStack() as stack:
        folder = Path(name)
        store = stack.enter_context(object_store()) if "s3" in options.sink else None
        for rows in options.rows:
            table = lineitem(rows, RESULTS)
            for kind in options.source:
                with loaded(kind, table, folder) as place:
                    for job in _jobs(place, options, folder):
                        results += _measured(job, table.rows, options, folder, store)
    facts = facts_with(["penstock", "pyarrow"], versions({result["mover"] for result in results}))
    (RESULTS / "tables.json").write_text(json.dumps({"machine": facts, "results": results}, indent=1))
    print(table_of(results))
    if options.update_page:
        how = f"medians of {options.rounds} runs (of one, where that took over {ENOUGH_SECONDS:g} s), and the most memory of any"
        update_page("tables", table_of(results), module="bench.tables", facts=facts, how=how)
    return int(any(result["failed"] for result in results if result["mover"] == "penstock"))


def _memory() -> str | None:
    """Return a folder that is kept in memory, where there is one: it is not the disk that is to be measured."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.tables", description=f"Move {TABLE}, and measure who does it."
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[2_000_000], help="default: %(default)s")
    parser.add_argument("--source", nargs="+", default=["postgres", "mysql", "sqlite", "duckdb"])
    parser.add_argument("--format", nargs="+", default=["csv", "ndjson", "parquet"])
    parser.add_argument("--sink", nargs="+", default=["file", "s3"])
    parser.add_argument("--only", nargs="+", metavar="MOVER", help="only these movers, by the beginning of their names")
    parser.add_argument(
        "--rounds", type=int, default=3, help="runs of each, of which the median counts; default: %(default)s"
    )
    parser.add_argument("--update-page", action="store_true", help="put the table into docs/performance.md")
    return parser


def _jobs(place: Any, options: argparse.Namespace, folder: Path) -> list[Job]:
    return [
        Job(place, kind, sink, f"s3://bench/{TABLE}.{kind}" if sink == "s3" else str(folder / f"out.{kind}"))
        for kind in options.format
        for sink in options.sink
    ]


def _measured(job: Job, rows: int, options: argparse.Namespace, folder: Path, store: Any) -> list[dict[str, Any]]:
    results = []
    for mover, command in available(job):
        if options.only and not mover.name.lower().startswith(tuple(word.lower() for word in options.only)):
            continue
        environment = {**mover.environment, **(store.environment if store is not None else {})}
        runs: list[Measured] = []
        failed = ""
        for _round in range(options.rounds):
            clear(job)
            run = measured(command, environment, Path(job.target) if mover.to_stdout else None, folder / "log")
            failed = run.said or "it failed without a word" if run.code else ""
            found = None if failed else delivered(job, store)
            if found is not None and found != rows:
                failed = f"it delivered {found} rows of {rows}"
            if failed:
                break
            runs.append(run)
            if sum(each.seconds for each in runs) > ENOUGH_SECONDS:
                break
        results.append(_result(mover.name, job, rows, runs, failed))
        _tell(results[-1])
    clear(job)
    return results


def _result(mover: str, job: Job, rows: int, runs: list[Measured], failed: str) -> dict[str, Any]:
    result: dict[str, Any] = {
        "mover": mover,
        "source": job.place.kind,
        "facts": job.place.facts,
        "format": job.format,
        "sink": job.sink,
        "rows": rows,
        "failed": failed,
        "runs": [asdict(run) for run in runs],
    }
    if runs and not failed:
        result["rows_per_second"] = rows / median(run.seconds for run in runs)
        result["peak_bytes"] = max(run.peak_bytes for run in runs)
        result["cpu_seconds"] = median(run.cpu_seconds for run in runs)
    return result


def _tell(result: dict[str, Any]) -> None:
    what = f"{result['source']} -> {result['format']} on {result['sink']}, {result['mover']}"
    if result["failed"]:
        print(f"{what}: FAILED: {result['failed']}", file=sys.stderr)
    else:
        rate, peak = result["rows_per_second"] / 1000, result["peak_bytes"] / 1e6
        print(f"{what}: {rate:.0f}k rows/s, {peak:.0f} MB, {result['cpu_seconds']:.1f} s CPU", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
