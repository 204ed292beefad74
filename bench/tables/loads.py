"""Peak memory against the size of one value, when tables are loaded: ``python -m bench.tables.loads``.

Files of the rows of :mod:`bench.tables.values` are loaded into a table of each database by ``penstock cp``, in a process
of its own. What DuckDB refuses is shown with its words: it holds 2,048 rows at least.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.tables.ends import Ground
from bench.tables.measure import measured
from bench.tables.page import facts_with, update_page
from bench.tables.values import MAX_MEMORY, Shape, rows_of

__all__ = ["FORMATS", "SHAPES", "Load", "load_of", "table", "write_file"]

RESULTS = Path("bench/results/loads.json")
SHAPES = (Shape(1 << 10, 4), Shape(1 << 20, 256), Shape(16 << 20, 16), Shape(64 << 20, 4))
DATABASES = {"postgres": "PostgreSQL", "mysql": "MariaDB", "sqlite": "SQLite", "duckdb": "DuckDB"}
FORMATS = {"parquet": "Parquet", "ndjson": "NDJSON"}
PATIENCE_SECONDS = 100.0


@dataclass(frozen=True)
class Load:
    """A file loaded into a database.

    Attributes:
        shape: of the table.
        format: of the file.
        database: kind of the database.
        peak_bytes: the most memory, also of a load that failed.
        said: what it ended with if it failed; ``""`` if all rows were there.
    """

    shape: Shape
    format: str
    database: str
    peak_bytes: int
    said: str = ""


def main() -> int:
    """Measure what was asked for, print the table, save the figures."""
    options = _parser().parse_args()
    loads = []
    for shape in SHAPES:
        with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder:
            for name in FORMATS:
                write_file(shape, name, Path(folder))
            for database in options.database:
                for name in FORMATS:
                    loads.append(load_of(shape, name, database, Path(folder)))
                    print(loads[-1], file=sys.stderr, flush=True)
    facts = facts_with(["penstock", "pyarrow", "duckdb"])
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps({"machine": facts, "loads": [asdict(load) for load in loads]}, indent=1), "utf-8")
    text = table(loads)
    print(text)
    if options.update_page:
        update_page("tables-loads", text, module="bench.tables.loads", facts=facts, how="one run of each")
    return 0


def load_of(shape: Shape, name: str, database: str, folder: Path) -> Load:
    """Load the file of this format that is in the folder into a database that is empty."""
    with ExitStack() as stack:
        ground = Ground(folder, stack, folder)
        destination = ground.destination(database)
        command = [sys.executable, "-m", "penstock", "cp", str(folder / f"in.{name}"), *destination.arguments]
        command += ["--max-memory", MAX_MEMORY, "--quiet"]
        run = measured(command, {}, None, folder / "log", PATIENCE_SECONDS)
        said = " ".join(run.said.replace(str(folder), "...").split()) if run.code else ""
        if not run.code and (found := destination.rows()) != shape.rows:
            said = f"{found} rows of {shape.rows} arrived"
        destination.clear()
    return Load(shape, name, database, run.peak_bytes, said)


def table(loads: list[Load]) -> str:
    """Return a line for each shape, a column for each database and format, and below what was refused with which words."""
    ways = list(dict.fromkeys((load.database, load.format) for load in loads))
    found = {(load.shape, load.database, load.format): load for load in loads}
    head = " | ".join(f"{FORMATS[name]} to {DATABASES[database]}" for database, name in ways)
    lines = [f"| Rows | {head} |", f"| ---: |{' ---: |' * len(ways)}"]
    for shape in dict.fromkeys(load.shape for load in loads):
        cells = (_shown(found[shape, database, name]) for database, name in ways)
        lines.append(f"| {shape} | {' | '.join(cells)} |")
    refused = [f"- {load.shape}, {DATABASES[load.database]}: `{load.said}`" for load in loads if load.said]
    return "\n".join([*lines, *(["", "Refused:", "", *dict.fromkeys(refused)] if refused else [])])


def _shown(load: Load) -> str:
    peak = f"{load.peak_bytes / 1e6:.0f} MB"
    return f"refused, {peak}" if load.said else peak


def write_file(shape: Shape, name: str, folder: Path) -> None:
    """Write a file a row at a time, so that none but its own size is in memory."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("id", pa.int64()), ("text", pa.string())])
    path = folder / f"in.{name}"
    if name == "ndjson":
        with path.open("w") as file:
            for number, text in rows_of(shape):
                json.dump({"id": number, "text": text}, file)
                file.write("\n")
        return
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for number, text in rows_of(shape):
            writer.write_table(pa.table({"id": [number], "text": [text]}, schema=schema))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.tables.loads", description="Load rows with one wide value.")
    parser.add_argument("--database", nargs="+", choices=list(DATABASES), default=list(DATABASES))
    parser.add_argument("--update-page", action="store_true", help="put the table into docs/performance.md")
    return parser


if __name__ == "__main__":
    sys.exit(main())
