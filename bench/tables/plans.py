"""What is measured, and how often."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.tables.movers import Mover

__all__ = ["FORMATS", "PARTS", "PLANS", "SOURCES", "Plan", "asked_for"]

SOURCES = ("postgres", "mysql", "sqlite", "duckdb")
FORMATS = ("csv", "ndjson", "parquet")
PARTS = ("file", "s3", "memory", "memory-s3")


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        rows: for each pace of a mover, how many rows it is given.
        rounds: runs of each, of which the median counts; see also ``rounds_of``.
        enough_seconds: who has taken this long in all is not run again; noise is no matter then.
        peers_enough_seconds: the same for who is neither Penstock nor a database's own tool.
        memory_rows: the smaller number of rows of the comparison by size.
        factor: how many times that is the larger one.
        patience_seconds: after this a run is killed, and has failed.
        parts: of ``PARTS``.
        sources: of ``SOURCES``.
        formats: of ``FORMATS``.
        only: beginnings of the names of those who take part; empty for all.
    """

    rows: dict[str, int]
    rounds: int
    memory_rows: int
    enough_seconds: float = 10.0
    peers_enough_seconds: float = 6.0
    factor: int = 10
    patience_seconds: float = 300.0
    parts: tuple[str, ...] = PARTS
    sources: tuple[str, ...] = SOURCES
    formats: tuple[str, ...] = FORMATS
    only: tuple[str, ...] = ()

    def takes_part(self, mover: Mover) -> bool:
        """Return whether it was asked for."""
        return not self.only or mover.name.lower().startswith(self.only)

    def rows_of(self, pace: str, sink: str) -> int:
        """Return how many rows those of this pace are given; into objects, who is slow has half as many."""
        return self.rows[pace] // (2 if sink == "s3" and pace != "fast" else 1)

    def rounds_of(self, mover: Mover, sink: str) -> int:
        """Return how often it runs, unless it takes long; into objects, two for who leads and one for peers."""
        if mover.pace != "fast":
            return 1
        return self.rounds if sink == "file" else min(self.rounds, 2 if _leads(mover) else 1)

    def rounds_by_size(self, sink: str) -> int:
        """Return how often each of both sizes runs: equally often, as the most of more runs is more."""
        return self.rounds if sink == "file" else min(self.rounds, 2)

    def enough_for(self, mover: Mover) -> float:
        """Return the seconds after which it is not run again."""
        return self.enough_seconds if _leads(mover) else self.peers_enough_seconds


def _leads(mover: Mover) -> bool:
    """Return whether the comparison stands and falls with it."""
    return mover.reference or mover.name == "penstock"


PLANS = {
    "full": Plan({"fast": 2_000_000, "slow": 500_000, "slowest": 100_000}, rounds=3, memory_rows=1_000_000),
    "quick": Plan({"fast": 100_000, "slow": 20_000, "slowest": 5_000}, rounds=1, memory_rows=50_000),
}


def asked_for(arguments: Sequence[str] | None = None) -> tuple[Plan, argparse.Namespace]:
    """Read the command line; return the plan, and what is to be done with the figures."""
    options = _parser().parse_args(arguments)
    plan = PLANS[options.plan]
    chosen = {name: tuple(getattr(options, name)) for name in ("parts", "sources", "formats")}
    only = tuple(word.lower() for word in options.only)
    rows = {"fast": options.rows, "slow": options.slow_rows, "slowest": options.slowest_rows}
    plan = replace(
        plan,
        rows={pace: number or plan.rows[pace] for pace, number in rows.items()},
        rounds=options.rounds or plan.rounds,
        memory_rows=options.memory_rows or plan.memory_rows,
        only=only,
        **chosen,
    )
    return plan, options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.tables", description="Move TPC-H's lineitem, and measure who does it."
    )
    parser.add_argument("--plan", choices=list(PLANS), default="full", help="sets what follows; default: %(default)s")
    parser.add_argument("--part", dest="parts", nargs="+", choices=PARTS, default=PARTS, help="default: all")
    parser.add_argument("--source", dest="sources", nargs="+", choices=SOURCES, default=SOURCES, help="default: all")
    parser.add_argument("--format", dest="formats", nargs="+", choices=FORMATS, default=FORMATS, help="default: all")
    parser.add_argument("--only", nargs="+", default=[], metavar="MOVER", help="by the beginning of their names")
    parser.add_argument("--rows", type=int, help="for who is fast")
    parser.add_argument("--slow-rows", type=int, help="for dlt, sling and the cursor loop")
    parser.add_argument("--slowest-rows", type=int, help="for dlt row by row")
    parser.add_argument("--memory-rows", type=int, help="and ten times as many")
    parser.add_argument("--rounds", type=int, help="runs of each, of which the median counts")
    parser.add_argument("--update-page", action="store_true", help="put the tables into docs/performance.md")
    parser.add_argument("--again", action="store_true", help="show what was measured last, without measuring")
    return parser
