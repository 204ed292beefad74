"""``python -m bench.tables``."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from bench.tables.jobs import Job
from bench.tables.movers import PACES, versions
from bench.tables.page import facts_with, update_page
from bench.tables.plans import Plan, asked_for
from bench.tables.report import bars, memory_table, tables
from bench.tables.runs import Contender, NotRun, contenders, in_turns
from bench.tables.systems import (
    TABLE,
    Place,
    Table,
    lineitem,
    loaded,
    object_store,
    repeated,
    temporary_files_in_memory,
)
from tests.servers import Unavailable

RESULTS = Path("bench/results")
FIGURES = RESULTS / "tables.json"
Json = dict[str, Any]


def main() -> int:
    """Measure what was asked for; print tables, save the figures. 1 if Penstock failed somewhere."""
    plan, options = asked_for()
    RESULTS.mkdir(parents=True, exist_ok=True)
    if not options.again:
        _Bench(plan).measure()
    figures = json.loads(FIGURES.read_text("utf-8"))
    for place, (text, part) in shown(figures).items():
        print(f"\n{text}")
        if options.update_page:
            update_page(
                place, text, module="bench.tables", facts=part["machine"], how=part["how"], arguments=part["arguments"]
            )
    results = [result for part in figures.values() for result in part["results"]]
    return int(any(result["failed"] for result in results if result["mover"] == "penstock"))


def shown(figures: Json) -> dict[str, tuple[str, Json]]:
    """Return the text for each place of the page for which there are figures, and the part that they are from."""
    texts: dict[str, tuple[str, Json]] = {}
    for part, place in (("file", "tables"), ("s3", "tables-s3")):
        if part in figures:
            texts[place] = tables(figures[part]["results"], figures[part]["absent"]), figures[part]
    for part in ("memory", "memory-s3"):
        if part in figures:
            texts[f"tables-{part}"] = memory_table(figures[part]["results"]), figures[part]
    if "file" in figures:
        memory = [
            result for part in ("memory", "memory-s3") for result in figures.get(part, {"results": []})["results"]
        ]
        texts["tables-bars"] = bars(figures["file"]["results"], memory), figures["file"]
    return texts


class _Bench:
    """Measures all of a plan; what there is so far is saved after every cell, so that nothing is lost."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._began = perf_counter()
        self._results: dict[str, list[Json]] = {part: [] for part in plan.parts}
        self._absent: dict[str, set[NotRun]] = {part: set() for part in plan.parts}
        self._made: set[tuple[str, str]] = set()
        self._environment: dict[str, str] = {}

    def measure(self) -> None:
        temporary_files_in_memory()
        with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name, ExitStack() as stack:
            if not {"s3", "memory-s3"}.isdisjoint(self._plan.parts):
                self._environment = stack.enter_context(object_store()).environment
            table = lineitem(self._plan.rows["fast"], RESULTS)
            for kind in self._plan.sources:
                try:
                    self._measure_source(kind, table, Path(name))
                except Unavailable as exc:
                    self._tell(f"{kind} is left out: {exc}")
        self._tell("all is measured")

    def _measure_source(self, kind: str, table: Table, folder: Path) -> None:
        self._tell(f"loading {kind}")
        with loaded(kind, table, folder) as place:
            for part, cell in self._cells(place, folder):
                self._results[part] += in_turns(cell)
                self._save()

    def _cells(self, place: Place, folder: Path) -> Iterator[tuple[str, list[Contender]]]:
        """Give, for each part that was asked for, who runs in turns."""
        for sink in ("file", "s3"):
            if sink in self._plan.parts:
                tables = {pace: self._table(place, self._plan.rows_of(pace, sink)) for pace in PACES}
                for kind in self._plan.formats:
                    jobs = {pace: self._job(place, folder, kind, sink, table) for pace, table in tables.items()}
                    yield sink, list(contenders(jobs, self._plan, self._absent[sink]))
        for part, sink in (("memory", "file"), ("memory-s3", "s3")):
            if part in self._plan.parts:
                for kind in self._plan.formats:
                    yield part, list(self._by_size(place, folder, kind, sink, self._absent[part]))

    def _by_size(self, place: Place, folder: Path, kind: str, sink: str, absent: set[NotRun]) -> Iterator[Contender]:
        """Give Penstock, and psql to a file, at a table and at one several times as large."""
        plan = replace(self._plan, only=("penstock", "psql") if sink == "file" else ("penstock",))
        for rows in (plan.memory_rows, plan.memory_rows * plan.factor):
            job = self._job(place, folder, kind, sink, self._table(place, rows))
            for contender in contenders(dict.fromkeys(PACES, job), plan, absent):
                yield replace(contender, rounds=plan.rounds_by_size(sink), enough_seconds=float("inf"))

    def _table(self, place: Place, rows: int) -> tuple[str, int]:
        """Return the name of the table with so many rows, and how many: the one that was loaded, or one made of it now."""
        if rows == self._plan.rows["fast"]:
            return TABLE, rows
        name = f"{TABLE}_{rows}"
        if (place.uri, name) not in self._made:
            self._tell(f"making {name}")
            repeated(place, name, rows)
            self._made.add((place.uri, name))
        return name, rows

    def _job(self, place: Place, folder: Path, kind: str, sink: str, table: tuple[str, int]) -> Job:
        target = f"s3://bench/{TABLE}.{kind}" if sink == "s3" else str(folder / f"out.{kind}")
        return Job(place, kind, sink, target, *table, str(folder / "scratch"), self._environment)

    def _save(self) -> None:
        """Save what there is of each part, besides what there was of others."""
        figures = json.loads(FIGURES.read_text("utf-8")) if FIGURES.exists() else {}
        for part, results in self._results.items():
            if results:
                figures[part] = {
                    "machine": facts_with(["penstock", "pyarrow"], versions(result["mover"] for result in results)),
                    "arguments": sys.argv[1:],
                    "how": self._how(part),
                    "results": results,
                    "absent": [asdict(each) for each in sorted(self._absent[part], key=str)],
                }
        FIGURES.write_text(json.dumps(figures, indent=1), "utf-8")

    def _how(self, part: str) -> str:
        plan = self._plan
        words = {
            "file": f"medians of {plan.rounds} runs and their most memory; of fewer where these took over "
            f"{plan.enough_seconds:g} s, of peers over {plan.peers_enough_seconds:g} s, and of one where they have fewer rows",
            "s3": f"medians of {min(plan.rounds, 2)} runs and their most memory, of peers one run",
            "memory": f"the most of {plan.rounds_by_size('file')} runs of each, in turns",
            "memory-s3": f"the most of {plan.rounds_by_size('s3')} runs of each, in turns",
        }
        return words[part]

    def _tell(self, what: str) -> None:
        print(f"[{perf_counter() - self._began:.0f} s] {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
