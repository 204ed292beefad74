"""The command line: choose rows, run them, print the table, save JSON, refill docs/performance.md."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import machine, report
from bench.measure import measure
from bench.registry import Row, choose, only_bars
from bench.rows import ROWS

RESULTS = Path("bench/results/latest.json")
PAGE = Path("docs/performance.md")
ROUNDS, QUICK_ROUNDS = 9, 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``python -m bench``; the exit code is 0, 1 (a contender failed; with --check: or a bar missed), or 2 (usage)."""
    parser = _parser()
    options = parser.parse_args(arguments)
    rows = choose(ROWS, options.only)
    rows = only_bars(rows) if options.bars else rows
    if not rows:
        parser.error(f"no row matches {' '.join(options.only)}; --list shows them")
    if options.bars and options.markdown:
        parser.error("--bars leaves contenders out; --markdown needs them all")
    if options.list:
        print("\n".join(f"{row.name:<20} {row.title}" for row in rows))
        return 0
    run = _load(options.saved, rows) if options.saved else _run(rows, options)
    if not options.saved:
        _save(run, options.json)
    print("\n" + report.summary(run["rows"]))
    if options.markdown:
        options.markdown.write_text(report.fill(options.markdown.read_text("utf-8"), run), "utf-8")
        print(f"tables written to {options.markdown}")
    return _exit_code(run, options.check)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure penstock's core against its peers, side by side in one run.",
        epilog="Nothing else should run on the machine: a busy neighbour costs rendezvous rows a factor of 3 and more.",
    )
    parser.add_argument("--only", metavar="PATTERN", action="append", default=[], help="rows whose name contains this")
    parser.add_argument("--bars", action="store_true", help="only what the bars compare: for tuning")
    parser.add_argument("--list", action="store_true", help="name the rows and leave")
    parser.add_argument("--quick", action="store_true", help=f"less work, {QUICK_ROUNDS} rounds: a smoke test")
    parser.add_argument("--rounds", type=_positive, help=f"samples per contender (default {ROUNDS})")
    parser.add_argument("--json", type=Path, default=RESULTS, metavar="PATH", help=f"default {RESULTS}")
    parser.add_argument("--check", action="store_true", help="exit 1 when a bar is missed")
    parser.add_argument(
        "--markdown", type=Path, nargs="?", const=PAGE, metavar="PAGE", help=f"refill the tables of PAGE ({PAGE})"
    )
    parser.add_argument(
        "--from", dest="saved", type=Path, metavar="JSON", help="do not run: use the figures of a saved run"
    )
    return parser


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _run(rows: list[Row], options: argparse.Namespace) -> report.Json:
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    run: report.Json = {
        "machine": machine.facts(),
        "command": _command(options),
        "rounds": rounds,
        "quick": options.quick,
        "complete": len(rows) == len(ROWS) and not options.bars,
        "rows": [],
    }
    print(machine.sentence(run["machine"]))
    for row in rows:
        measured = measure(row, rounds=rounds, quick=options.quick, tell=_progress)
        _progress("")
        run["rows"].append(report.to_dict(measured))
        print("\n" + report.table(run["rows"][-1]), flush=True)
    return run


def _command(options: argparse.Namespace) -> str:
    """What to type to measure the same again."""
    words = ["python -m bench", *(f"--only '{pattern}'" for pattern in options.only)]
    words += ["--quick"] if options.quick else []
    words += ["--bars"] if options.bars else []
    words += [f"--rounds {options.rounds}"] if options.rounds else []
    return " ".join(words)


def _progress(text: str) -> None:
    """On a terminal only: one line that is drawn over."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def _save(run: report.Json, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(run, indent=1) + "\n", "utf-8")
    print(f"\nevery sample: {path}")


def _load(path: Path, rows: list[Row]) -> report.Json:
    run: report.Json = json.loads(path.read_text("utf-8"))
    chosen = {row.name for row in rows}
    run["rows"] = [row for row in run["rows"] if row["name"] in chosen]
    for row in run["rows"]:
        print("\n" + report.table(row))
    return run


def _exit_code(run: report.Json, check: bool) -> int:
    failed = any("error" in entry for row in run["rows"] for entry in row["contenders"])
    missed = any(bar["verdict"] == "MISS" for row in run["rows"] for bar in row["bars"])
    return 1 if failed or (check and missed) else 0
