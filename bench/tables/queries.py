"""Queries of SQLite, collected in pages and row by row: ``python -m bench.tables.queries``.

Each is read to its end as Arrow batches, in a process of its own, and only the reading is timed. Row by row is how Penstock
reads what it cannot collect; the child is made to believe that.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import penstock
from bench.tables.page import facts_with, update_page
from bench.tables.systems import TABLE, lineitem, temporary_files_in_memory
from penstock import connectors, formats
from penstock.connectors import sqlite

__all__ = ["QUERIES", "READ_AS", "Query", "Reading", "reading", "table"]

RESULTS = Path("bench/results")
FIGURES = RESULTS / "queries.json"
ROWS = 1_000_000
WIDE_ROWS, WIDE_COLUMNS = 4000, 1600
READ_AS = ("collected", "row by row")


@dataclass(frozen=True)
class Query:
    """What is read, and whether a thread of Python that never rests runs beside it."""

    called: str
    sql: str
    is_beside_a_busy_thread: bool = False


QUERIES = (
    Query("16 columns of lineitem", f"SELECT * FROM {TABLE}"),
    Query("one integer", f"SELECT l_orderkey FROM {TABLE}"),
    Query("an integer and a text", f"SELECT l_orderkey, l_comment FROM {TABLE}"),
    Query(
        "two computed doubles with all digits, an integer and a text",
        f"SELECT l_quantity / 7.0 AS a, l_extendedprice / 3.0 AS b, l_orderkey, l_comment FROM {TABLE}",
    ),
    Query(f"{WIDE_ROWS:,} rows of {WIDE_COLUMNS:,} columns", "SELECT * FROM wide"),
    Query(
        "an integer and a text, beside a thread of Python that never rests",
        f"SELECT l_orderkey, l_comment FROM {TABLE}",
        is_beside_a_busy_thread=True,
    ),
)


@dataclass(frozen=True)
class Reading:
    """A query read once.

    Attributes:
        query: its name.
        way: one of ``READ_AS``.
        rows: that came.
        seconds: of the clock.
        cpu_seconds: of all threads.
    """

    query: str
    way: str
    rows: int
    seconds: float
    cpu_seconds: float


def main() -> int:
    """Measure, print the table, save the figures; or, as a child, read one query."""
    options = _parser().parse_args()
    if options.read is not None:
        uri, number, way = options.read
        print(json.dumps(asdict(reading(uri, QUERIES[int(number)], way))))
        return 0
    temporary_files_in_memory()
    RESULTS.mkdir(parents=True, exist_ok=True)
    rows = lineitem(ROWS, RESULTS)
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder:
        uri = f"sqlite:///{folder}/rows.db"
        penstock.copy(rows.path, uri, to_table=TABLE)
        _make_wide(Path(folder, "rows.db"))
        readings = [
            _in_a_process(uri, number, way)
            for number in range(len(QUERIES))
            for turn in range(options.rounds)
            for way in (READ_AS if turn % 2 == 0 else reversed(READ_AS))
        ]
    facts = facts_with(["penstock", "pyarrow"], {"sqlite3": sqlite3.sqlite_version})
    FIGURES.write_text(
        json.dumps({"machine": facts, "readings": [asdict(each) for each in readings]}, indent=1), "utf-8"
    )
    text = table(readings)
    print(text)
    if options.update_page:
        how = "one run of each" if options.rounds == 1 else f"medians of {options.rounds} runs"
        update_page("tables-queries", text, module="bench.tables.queries", facts=facts, how=how)
    return 0


def reading(uri: str, query: Query, way: str) -> Reading:
    """Read a query in this process. Row by row changes the connector for as long as the process lives."""
    if way == "row by row":
        sqlite.unpackable = lambda _database: "a benchmark wants it so"
    source = connectors.open_source(connectors.SourceRequest(uri=uri, formats=formats, query=query.sql))
    import_module("pyarrow")  # is not timed
    with _busy(query.is_beside_a_busy_thread):
        began, used = perf_counter(), process_time()
        with source.open_batches() as batches:  # reads the first of them
            rows = sum(batch.num_rows for batch in batches)
        seconds, cpu_seconds = perf_counter() - began, process_time() - used
    return Reading(query.called, way, rows, seconds, cpu_seconds)


def table(readings: list[Reading]) -> str:
    """Return a line for each query: processor time per row, or rows/s where another thread takes some of it."""
    lines = [
        f"| Query | | {' | '.join(way.capitalize() for way in READ_AS)} | Ratio |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    busy = {query.called for query in QUERIES if query.is_beside_a_busy_thread}
    for called in dict.fromkeys(each.query for each in readings):
        of_query = [each for each in readings if each.query == called]
        if called in busy:
            unit, numbers = "rows/s", [median(_speeds(of_query, way)) for way in READ_AS]
            shown = [f"{number:,.0f}" for number in numbers]
        else:
            unit, numbers = "CPU, us per row", [median(_costs(of_query, way)) for way in READ_AS]
            shown = [f"{number:,.2f}" for number in numbers]
        lines.append(f"| {called} | {unit} | {' | '.join(shown)} | {numbers[0] / numbers[1]:.2f}x |")
    return "\n".join(lines)


def _speeds(readings: list[Reading], way: str) -> list[float]:
    return [each.rows / each.seconds for each in readings if each.way == way]


def _costs(readings: list[Reading], way: str) -> list[float]:
    return [each.cpu_seconds / each.rows * 1e6 for each in readings if each.way == way]


def _in_a_process(uri: str, number: int, way: str) -> Reading:
    command = [sys.executable, "-m", "bench.tables.queries", "--read", uri, str(number), way]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    found = Reading(**json.loads(done.stdout))
    print(found, file=sys.stderr, flush=True)
    return found


def _make_wide(path: Path) -> None:
    kinds = ("INTEGER", "TEXT", "REAL")
    columns = ", ".join(f"c{number} {kinds[number % len(kinds)]}" for number in range(WIDE_COLUMNS))
    values = [(number, f"text {number}", number / 4)[number % len(kinds)] for number in range(WIDE_COLUMNS)]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"CREATE TABLE wide ({columns})")
        marks = ", ".join("?" * WIDE_COLUMNS)
        connection.executemany(f"INSERT INTO wide VALUES ({marks})", (values for _ in range(WIDE_ROWS)))


@contextmanager
def _busy(wanted: bool) -> Iterator[None]:
    """Have a thread compute while the block runs."""
    if not wanted:
        yield
        return
    over = threading.Event()

    def compute() -> None:
        while not over.is_set():
            sum(range(1000))

    thread = threading.Thread(target=compute, name="busy")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.tables.queries", description="Read queries of SQLite.")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, of which the median counts")
    parser.add_argument("--update-page", action="store_true", help="put the table into docs/performance.md")
    parser.add_argument("--read", nargs=3, metavar=("URI", "NUMBER", "WAY"), help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
