"""Who finds what in tests/leaks/corpus: every program under every detector, each pair in a process of its own.

    python -m bench.findings [--quick] [--only PATTERN] [--markdown] [--json PATH]

A leaking program is found when the detector reports anything of it at all, and a clean one is a false alarm when it
does: the same for all.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from bench import machine
from bench.detectors import CONTESTANTS, HANG_SECONDS, missing
from bench.report import Json, replace_between
from tests.leaks import run_program
from tests.leaks.corpus import POSTGRES_VARIABLE, programs
from tests.servers import Unavailable

RESULTS = Path("bench/results/leaks.json")
PAGE = Path("docs/performance.md")
PROGRAMS_PAGE = Path("docs/leaks-findings.md")
AT_ONCE = 2
EVERY_NTH_WHEN_QUICK = 20

UNKNOWN = "?"
GROUPS: dict[str, Callable[[set[str]], bool]] = {
    "that leave a thread": lambda kinds: "thread" in kinds,
    "that leave a task, and no thread": lambda kinds: "task" in kinds and "thread" not in kinds,
    "that leave neither, but something else": lambda kinds: not kinds & {"thread", "task", UNKNOWN},
}
"""Leaking programs by the kinds of what they leave. Each is in one group, unless it broke under every detector."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``python -m bench.findings``; the exit code is 1 when a program or detector broke."""
    options = _parser().parse_args(arguments)
    run = json.loads(options.saved.read_text("utf-8")) if options.saved else _run(options)
    if not options.saved:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(run, indent=1) + "\n", "utf-8")
        print(f"every outcome: {options.json}\n")
    print(table(run))
    broken = [outcome for outcome in run["outcomes"] if "error" in outcome]
    for outcome in broken:
        print(f"FAILED {outcome['detector']}, {outcome['program']}: {outcome['error']}")
    if options.markdown:
        _fill(options.markdown, "leaks", f"{table(run)}\n\n{_how(run)}")
        _fill(options.programs, "leaks-programs", f"{program_table(run)}\n\n{_how(run)}")
    return 1 if broken else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.findings", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", metavar="TEXT", action="append", default=[], help="programs whose name contains this")
    parser.add_argument("--quick", action="store_true", help=f"every {EVERY_NTH_WHEN_QUICK}th program: a smoke test")
    parser.add_argument("--json", type=Path, default=RESULTS, metavar="PATH", help=f"default {RESULTS}")
    parser.add_argument("--from", dest="saved", type=Path, metavar="JSON", help="do not run: use a saved run")
    parser.add_argument(
        "--markdown", type=Path, nargs="?", const=PAGE, metavar="PAGE", help=f"refill the tables of PAGE ({PAGE})"
    )
    parser.add_argument(
        "--programs", type=Path, default=PROGRAMS_PAGE, metavar="PAGE", help=f"... and of this one ({PROGRAMS_PAGE})"
    )
    return parser


def _run(options: argparse.Namespace) -> Json:
    chosen = choose(options.only, quick=options.quick)
    detectors = {name: contestant for name, contestant in CONTESTANTS.items() if not contestant.unavailable()}
    for name in CONTESTANTS.keys() - detectors.keys():
        print(f"{name}: {CONTESTANTS[name].unavailable()}")
    with services(chosen) as environment:
        provided = {"postgres"} if POSTGRES_VARIABLE in environment else set()
        absent = {program: why for program in chosen if (why := missing(program, provided))}
        pairs = [(program, detector) for program in chosen if program not in absent for detector in detectors]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            outcomes = list(pool.map(lambda pair: outcome_of(*pair, environment), pairs))
    return {
        "machine": machine.facts(),
        "command": " ".join(
            ["python -m bench.findings", *["--quick"] * options.quick, *(f"--only '{text}'" for text in options.only)]
        ),
        "detectors": {name: contestant.title for name, contestant in detectors.items()},
        "absent": absent,
        "outcomes": outcomes,
    }


def choose(texts: list[str], *, quick: bool) -> list[str]:
    """The programs to run, leaking ones first."""
    step = EVERY_NTH_WHEN_QUICK if quick else 1
    names = [*programs("leaking")[::step], *programs("clean")[::step]]
    return [name for name in names if not texts or any(text in name for text in texts)]


@contextmanager
def services(chosen: list[str]) -> Iterator[dict[str, str]]:
    """The environment for programs; with a database of their own when one of them asks for it and it is to be had."""
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    with ExitStack() as stack:
        if any(run_program.requirements(program).get("SERVICE") for program in chosen):
            try:
                from tests.servers.postgres import run_postgres

                environment[POSTGRES_VARIABLE] = stack.enter_context(run_postgres()).new_database().uri
            except (ImportError, Unavailable) as error:
                print(f"no database: {error}")
        yield environment


def outcome_of(program: str, detector: str, environment: dict[str, str]) -> Json:
    """What one detector reports of one program, or the error that kept it from that."""
    outcome: Json = {"program": program, "detector": detector}
    command = [sys.executable, "-m", "bench.detectors", detector, program]
    # Files instead of pipes: a program's own children may outlive it, and a pipe would end only with the last of them.
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=errors, start_new_session=True)
        try:
            exit_code = process.wait(HANG_SECONDS + 30)
        except subprocess.TimeoutExpired as error:
            return outcome | {"error": str(error)}
        finally:
            _end_group(process)
        for file in (output, errors):
            file.seek(0)
        if exit_code:
            return outcome | {"error": (errors.read().strip() or f"exit code {exit_code}").splitlines()[-1]}
        return outcome | json.loads(output.read().splitlines()[-1])  # a program may print as well


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End what is left of a process and of those it started."""
    with suppress(ProcessLookupError):  # nothing is left
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def table(run: Json) -> str:
    """Counts, a column for each detector."""
    columns = [Counts(run, detector) for detector in run["detectors"]]
    rows: list[tuple[str, list[str]]] = [("**Leaking programs found**", [c.found(lambda _: True) for c in columns])]
    rows += [(f"... {group}", [c.found(test) for c in columns]) for group, test in GROUPS.items()]
    rows += [
        ("Missed", [str(c.silent(must_report=True)) for c in columns]),
        ("Silent where either answer is right", [str(c.silent(must_report=False)) for c in columns]),
        ("Proven, of those found", [str(sum(o.get("proven", 0) > 0 for o in c.leaking)) for c in columns]),
        ("**False alarms on clean programs**", [c.false_alarms() for c in columns]),
    ]
    if any(c.broken for c in columns):
        rows.append(("Broke off, counted as silent", [str(c.broken) for c in columns]))
    lines = [f"| | {' | '.join(run['detectors'].values())} |", f"| --- |{' ---: |' * len(columns)}"]
    return "\n".join(lines + [f"| {title} | {' | '.join(cells)} |" for title, cells in rows])


class Counts:
    """The outcomes of one detector, counted."""

    def __init__(self, run: Json, detector: str) -> None:
        outcomes = [outcome for outcome in run["outcomes"] if outcome["detector"] == detector]
        self.leaking = [outcome for outcome in outcomes if outcome["program"].startswith("leaking/")]
        self.clean = [outcome for outcome in outcomes if outcome["program"].startswith("clean/")]
        self.broken = sum("error" in outcome for outcome in outcomes)
        # What a program leaves is in every outcome that came about, whoever was asked.
        told = [outcome for outcome in run["outcomes"] if "error" not in outcome]
        self.leaves = {outcome["program"]: set(outcome["expected"]) for outcome in told}
        self.free = {outcome["program"] for outcome in told if not outcome["required"]}

    def found(self, belongs: Callable[[set[str]], bool]) -> str:
        """How many of the leaking programs that belong to a group got any report."""
        group = [outcome for outcome in self.leaking if belongs(self.leaves.get(outcome["program"], {UNKNOWN}))]
        return f"{sum(map(bool, map(reported, group)))} of {len(group)}"

    def silent(self, *, must_report: bool) -> int:
        """How many of the leaking programs got no report, of those that must have one or of those that need not."""
        return sum(not reported(o) and (o["program"] not in self.free) is must_report for o in self.leaking)

    def false_alarms(self) -> str:
        """How many of the clean programs got any report."""
        return f"{sum(map(bool, map(reported, self.clean)))} of {len(self.clean)}"


def reported(outcome: Json) -> list[str]:
    """The kinds of what was reported; nothing where the detector broke off."""
    kinds: list[str] = outcome.get("kinds", [])
    return kinds


def program_table(run: Json) -> str:
    """A line for each program: what it leaves, and what each detector says of it."""
    detectors = list(run["detectors"])
    by_program: dict[str, dict[str, Json]] = {}
    for outcome in run["outcomes"]:
        by_program.setdefault(outcome["program"], {})[outcome["detector"]] = outcome
    lines = [
        f"| Program | Leaves | {' | '.join(run['detectors'].values())} |",
        f"| --- | --- |{' --- |' * len(detectors)}",
    ]
    for program, outcomes in by_program.items():
        leaves = next((_kinds(o["expected"]) for o in outcomes.values() if "error" not in o), UNKNOWN)
        lines.append(f"| {program} | {leaves} | {' | '.join(_said(outcomes[name]) for name in detectors)} |")
    return "\n".join(lines)


def _said(outcome: Json) -> str:
    if "error" in outcome:
        return "broke off"
    proven = f", {outcome['proven']} proven" if outcome["proven"] else ""
    return _kinds(outcome["kinds"]) + proven


def _kinds(kinds: list[str]) -> str:
    return ", ".join(sorted(set(kinds))) or "-"


def _how(run: Json) -> str:
    absent = f" Could not run here: {', '.join(run['absent'])}." if run["absent"] else ""
    return f"`{run['command']}`, {machine.sentence(run['machine'])}.{absent}"


def _fill(page: Path, name: str, text: str) -> None:
    page.write_text(replace_between(page.read_text("utf-8"), name, text), "utf-8")
    print(f"table written to {page}")


if __name__ == "__main__":
    sys.exit(main())
