"""Peak memory at ten times the rows, for what :mod:`bench.tables` does not measure: ``python -m bench.tables.ways``.

There databases are read into files and objects. Here files, objects, HTTP and MongoDB are read, and tables, HTTP and standard
output are written. Not every pair: each source and each sink, in at least one way.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.tables.ends import Destination, Ground, Source
from bench.tables.measure import measured
from bench.tables.page import facts_with, update_page
from bench.tables.report import MEMORY_BAR
from bench.tables.systems import temporary_files_in_memory

__all__ = ["WAYS", "Way", "table", "way_of"]

RESULTS = Path("bench/results")
FIGURES = RESULTS / "ways.json"
FACTOR = 10
PATIENCE_SECONDS = 600.0
WAYS = (
    "file.parquet postgres",
    "file.parquet mysql",
    "file.parquet sqlite",
    "file.parquet sqlite.there",
    "file.parquet duckdb",
    "file.parquet duckdb.there",
    "postgres mysql",
    "postgres http.ndjson",
    "postgres stdout.csv",
    "http.ndjson file.parquet",
    "file.csv file.parquet",
    "file.ndjson file.csv",
    "s3.parquet file.ndjson",
    "sqlite.query file.ndjson",
    "sqlite.query file.parquet",
    "mongodb file.ndjson",
    "mongodb file.parquet",
)


@dataclass(frozen=True)
class Way:
    """What was measured of one way.

    Attributes:
        source: what was read.
        destination: what was written.
        peaks: the most memory of any run, for the smaller and the larger number of rows.
        seconds: of the last run of the larger.
        failed: why it does not count; ``""`` if it does.
    """

    source: str
    destination: str
    peaks: tuple[int, int] = (0, 0)
    seconds: float = 0.0
    failed: str = ""


def main() -> int:
    """Measure what was asked for, print the table, save the figures; 1 when something failed."""
    options = _parser().parse_args()
    temporary_files_in_memory()
    ways = []
    for name in options.way:
        with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder, ExitStack() as stack:
            ways.append(way_of(Ground(Path(folder), stack, RESULTS), name, options.rows, options.rounds))
            print(_line(ways[-1], options.rows), file=sys.stderr, flush=True)
    facts = facts_with(["penstock", "pyarrow"])
    FIGURES.write_text(json.dumps({"machine": facts, "ways": [asdict(way) for way in ways]}, indent=1), "utf-8")
    text = table(ways, options.rows)
    print(text)
    if options.update_page:
        update_page("tables-ways", text, module="bench.tables.ways", facts=facts, how=_how(options.rounds))
    return int(any(way.failed for way in ways))


def table(ways: Sequence[Way], rows: int) -> str:
    """Return the figures in Markdown, beside the bar."""
    head = f"| From | To | Peak, {rows / 1e6:g} M rows | Peak, {rows * FACTOR / 1e6:g} M rows | Ratio | | Rows/s, {rows * FACTOR / 1e6:g} M rows |"
    return "\n".join([head, "| --- | --- | ---: | ---: | ---: | --- | ---: |", *(_line(way, rows) for way in ways)])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.tables.ways", description="Memory against size, other ways.")
    parser.add_argument("--way", nargs="+", choices=WAYS, default=WAYS, metavar="'FROM TO'", help="default: all")
    parser.add_argument("--rows", type=int, default=1_000_000, help="and ten times as many; default: %(default)s")
    parser.add_argument("--rounds", type=int, default=2, help="runs of each, of which the largest counts")
    parser.add_argument("--update-page", action="store_true", help="put the table into docs/performance.md")
    return parser


def _how(rounds: int) -> str:
    return f"the most of {rounds} {'run' if rounds == 1 else 'runs'} of each, in turns"


def way_of(ground: Ground, name: str, rows: int, rounds: int) -> Way:
    """Run both sizes in turns, equally often."""
    source, _, target = name.partition(" ")
    sources = {count: ground.source(source, count) for count in (rows, rows * FACTOR)}
    destination = ground.destination(target)
    peaks = dict.fromkeys(sources, 0)
    seconds = 0.0
    facts = sources[rows].facts, destination.facts
    for _round in range(rounds):
        for count, given in sources.items():
            peak, seconds, failed = _run(ground, given, destination, count)
            if failed:
                return Way(*facts, failed=failed)
            peaks[count] = max(peaks[count], peak)
    return Way(*facts, (peaks[rows], peaks[rows * FACTOR]), seconds)


def _run(ground: Ground, source: Source, destination: Destination, rows: int) -> tuple[int, float, str]:
    """Return the most memory, the seconds, and why it failed."""
    address, *more = source.arguments
    command = [sys.executable, "-m", "penstock", "cp", address, *destination.arguments, *more, "--quiet"]
    log = ground.folder / "log"
    run = measured(command, ground.environment, destination.stdout, log, PATIENCE_SECONDS)
    if run.code:
        return 0, 0.0, run.said or f"exit code {run.code}, without a word"
    arrived = destination.rows()
    destination.clear()
    return run.peak_bytes, run.seconds, "" if arrived == rows else f"{arrived:,} rows of {rows:,} arrived"


def _line(way: Way, rows: int) -> str:
    where = f"| {way.source} | {way.destination} "
    if way.failed:
        return where + f"| failed: {' '.join(way.failed.split())[-140:].replace('|', '/')} | | | | |"
    small, large = way.peaks
    verdict = "ok" if large <= small * MEMORY_BAR else "**missed**"
    rate = rows * FACTOR / way.seconds
    return where + f"| {small / 1e6:.0f} MB | {large / 1e6:.0f} MB | {large / small:.2f}x | {verdict} | {rate:,.0f} |"


if __name__ == "__main__":
    sys.exit(main())
