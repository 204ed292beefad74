"""Peak memory against the size of one value: ``python -m bench.tables.values``.

A table of an id and one text, of as many rows as make 256 MiB, is copied into a file by ``penstock cp`` in a process of
its own, with ``--max-memory 128MiB``. The texts are random: nothing compresses them, and no page is shared. The first
line, four rows of 1 KiB, is what Python, Arrow and the connector take for themselves; the bar is on what comes on top of
that: ``--max-memory``, and the copies that libraries make and nobody can keep them from (:data:`FORCED`).
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from pathlib import Path

import penstock
from bench.tables.delivered import clear, delivered
from bench.tables.jobs import Job
from bench.tables.measure import Measured, measured
from bench.tables.page import facts_with, update_page
from bench.tables.systems import Place, started
from penstock.connectors import redact
from penstock.flow.units import format_bytes, parse_size

__all__ = ["MAX_MEMORY", "Shape", "rows_of"]

RESULTS = Path("bench/results/values.json")
TABLE = "texts"
SIZES = ["1KiB", "64KiB", "1MiB", "16MiB", "64MiB"]
LEAST_ROWS = 4
MAX_MEMORY = "128MiB"
SOURCES = {"sqlite": "SQLite", "postgres": "PostgreSQL", "mysql": "MariaDB"}
FORMATS = {"csv": "CSV", "ndjson": "NDJSON", "parquet": "Parquet"}
FORCED = {
    "sqlite": 1,  # the statement, which is at the next row already
    "postgres": 0,
    "mysql": 0,
    "parquet": 3,  # Arrow's page, the same compressed, and its bytes as they are handed to a file of Python's
}
"""How many times a library holds a value, besides the one that is on its way."""


@dataclass(frozen=True)
class Shape:
    """A table: how long each text is, and how many there are."""

    value_bytes: int
    rows: int

    def __str__(self) -> str:
        return f"{self.rows:,} of {format_bytes(self.value_bytes)}"


@dataclass(frozen=True)
class Cell:
    """A table copied from one source into one format.

    Attributes:
        shape: of the table.
        source: kind of the source.
        format: of the file.
        peak_bytes: the most memory of any run; 0 if it failed.
        seconds: of the last run.
        said: what it ended with if it failed; ``""`` if all rows were there.
    """

    shape: Shape
    source: str
    format: str
    peak_bytes: int
    seconds: float
    said: str = ""


def main() -> int:
    """Measure what was asked for, print the table, save the figures."""
    options = _parser().parse_args()
    cells = []
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder:
        for kind in options.source:
            for shape in _shapes(options):
                with ExitStack() as stack:
                    place = started(kind, stack, Path(folder))
                    _fill(place, shape)
                    for name in options.format:
                        cells.append(_cell(place, shape, name, Path(folder), options.rounds))
                        print(_line(cells[-1]), file=sys.stderr)
                _forget(Path(folder))
    facts = facts_with(["penstock", "pyarrow"])
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps({"machine": facts, "cells": [asdict(cell) for cell in cells]}, indent=1))
    text = _table(cells)
    print(text)
    if options.update_page:
        update_page("tables-values", text, module="bench.tables.values", facts=facts, how=_how(options.rounds))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.tables.values", description="Copy rows with one wide value.")
    parser.add_argument("--size", nargs="+", default=SIZES, help="bytes of a value; default: %(default)s")
    parser.add_argument("--total", default="256MiB", help="bytes of a table; default: %(default)s")
    parser.add_argument("--source", nargs="+", choices=list(SOURCES), default=list(SOURCES))
    parser.add_argument("--format", nargs="+", choices=list(FORMATS), default=list(FORMATS))
    parser.add_argument("--rounds", type=int, default=2, help="runs of each, of which the largest counts")
    parser.add_argument("--update-page", action="store_true", help="put the table into docs/performance.md")
    return parser


def _how(rounds: int) -> str:
    return f"the most of {rounds} runs, resident memory of the process as the kernel counts it"


def _shapes(options: argparse.Namespace) -> list[Shape]:
    total = parse_size(options.total, name="total")
    sizes = [parse_size(size, name="size") for size in options.size]
    floor = Shape(min(1024, *sizes), LEAST_ROWS)
    return [floor, *(Shape(size, max(LEAST_ROWS, total // size)) for size in sizes)]


def rows_of(shape: Shape) -> Iterator[tuple[int, str]]:
    """Give the rows of a table: an id, and a random text."""
    return ((number, os.urandom(shape.value_bytes // 2).hex()) for number in range(shape.rows))


def _fill(place: Place, shape: Shape) -> None:
    if place.kind == "sqlite":
        with closing(sqlite3.connect(place.uri.removeprefix("sqlite:///"))) as database, database:
            database.execute(f"CREATE TABLE {TABLE} (id INTEGER, text TEXT)")
            database.executemany(f"INSERT INTO {TABLE} VALUES (?, ?)", rows_of(shape))
        return
    if place.kind == "mysql":
        rows = ({"id": number, "text": text} for number, text in rows_of(shape))
        penstock.copy(rows, place.uri, to_table=TABLE, if_exists="overwrite", max_memory="512MiB")
        return
    import psycopg

    with psycopg.connect(place.uri) as connection:
        # Not compressed, which would take minutes for nothing.
        connection.execute(f"CREATE TABLE {TABLE} (id bigint, text text STORAGE EXTERNAL)")
        with connection.cursor() as cursor, cursor.copy(f"COPY {TABLE} FROM STDIN") as rows:
            for row in rows_of(shape):
                rows.write_row(row)


def _cell(place: Place, shape: Shape, name: str, folder: Path, rounds: int) -> Cell:
    job = Job(place, name, "file", str(folder / f"out.{name}"))
    command = [sys.executable, "-m", "penstock", "cp", place.uri, job.target, "--table", TABLE]
    command += ["--max-memory", MAX_MEMORY, "--quiet"]
    runs: list[Measured] = []
    said = ""
    for _round in range(rounds):
        clear(job)
        runs.append(measured(command, {}, None, folder / "log"))
        if runs[-1].code:
            said = f"exit code {runs[-1].code}: {_clean(runs[-1].said, place, folder)}"
        elif (found := delivered(job)) != shape.rows:
            said = f"it delivered {found} rows of {shape.rows}"
        if said:
            break
    clear(job)
    peak = 0 if said else max(run.peak_bytes for run in runs)
    return Cell(shape, place.kind, name, peak, runs[-1].seconds, said)


def _clean(said: str, place: Place, folder: Path) -> str:
    """Return a message without addresses that are of this run alone."""
    for shown in (place.uri, redact(place.uri)):
        said = said.replace(shown, SOURCES[place.kind])
    return " ".join(said.replace(str(folder), "...").split())


def _forget(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def _table(cells: list[Cell]) -> str:
    """Return a line for each shape, a column for each way, and below what was refused with which words."""
    ways = list(dict.fromkeys((cell.source, cell.format) for cell in cells))
    shapes = list(dict.fromkeys(cell.shape for cell in cells))
    found = {(cell.shape, cell.source, cell.format): cell for cell in cells}
    head = " | ".join(f"{SOURCES[source]} to {FORMATS[name]}" for source, name in ways)
    lines = [f"| Rows | {head} |", f"| ---: |{' ---: |' * len(ways)}"]
    for shape in shapes:
        row = [_shown(found[shape, source, name], _floor(cells, source, name)) for source, name in ways]
        lines.append(f"| {shape} | {' | '.join(row)} |")
    words = dict.fromkeys((cell.shape, cell.source, cell.said) for cell in cells if cell.said)
    refused = [f"- {shape} from {SOURCES[source]}: `{said}`" for shape, source, said in words]
    return "\n".join([*lines, "", _verdict(cells), *(["", "Refused:", "", *refused] if refused else [])])


def _floor(cells: list[Cell], source: str, name: str) -> int:
    """Return what the pair takes when there is next to nothing to copy."""
    return next(cell.peak_bytes for cell in cells if (cell.source, cell.format) == (source, name))


def _allowed(cell: Cell) -> int:
    forced = FORCED[cell.source] + FORCED.get(cell.format, 0)
    return parse_size(MAX_MEMORY, name="max_memory") + forced * cell.shape.value_bytes


def _verdict(cells: list[Cell]) -> str:
    """Return which of them is nearest to its bar, or furthest beyond it."""
    excess = {cell: cell.peak_bytes - _floor(cells, cell.source, cell.format) for cell in cells if not cell.said}
    if not excess:
        return "All were refused."
    worst = max(excess, key=lambda cell: excess[cell] / _allowed(cell))
    verdict = "ok" if excess[worst] <= _allowed(worst) else "MISS"
    return (
        f"Nearest to its bar: {_words(worst)}, {excess[worst] / 1e6:.0f} MB more than the first line; bar, with what is "
        f"forced, <= {_allowed(worst) / 1e6:.0f} MB: {verdict}."
    )


def _words(cell: Cell) -> str:
    return f"{cell.shape}, {SOURCES[cell.source]} to {FORMATS[cell.format]}"


def _shown(cell: Cell, floor_bytes: int = 0) -> str:
    if cell.said:
        return "refused"
    more = cell.peak_bytes - floor_bytes
    return f"{cell.peak_bytes / 1e6:.0f} MB" + (f" (+{more / 1e6:.0f})" if floor_bytes and more > 0 else "")


def _line(cell: Cell) -> str:
    return f"{_words(cell)}: {cell.said or _shown(cell)}, {cell.seconds:.1f} s"


if __name__ == "__main__":
    sys.exit(main())
