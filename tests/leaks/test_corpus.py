"""Every leaking program gets the report it must give, and every clean one gets none.

Each program runs in a process of its own, several at a time, since most of their time they wait. The workers of pytest-xdist
share them: each runs those that nobody has claimed, and reads what came of the others. (Its groups, which were to have one
worker do all, have no effect with pytest 9.2.)
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.leaks import run_program
from tests.leaks.corpus import POSTGRES_VARIABLE, Expected, compare, programs

LEAKING = programs("leaking")
CLEAN = programs("clean")

# The first test waits for all the programs.
pytestmark = pytest.mark.timeout(600)

_AT_ONCE = 4
_MOST_SECONDS = 90.0


@dataclass(frozen=True)
class Outcome:
    """What came of a program: its report and what it should be, or why there is none."""

    leaks: list[dict[str, Any]] = field(default_factory=list)
    expected: list[Expected] = field(default_factory=list)
    unavailable: str | None = None
    failure: str | None = None

    def report(self) -> list[dict[str, Any]]:
        """The leaks that were reported; skips or fails the test when the program did not get that far."""
        if self.unavailable is not None:
            pytest.skip(self.unavailable)
        assert self.failure is None, self.failure
        return self.leaks

    @property
    def must_be_found(self) -> bool:
        """Whether the program could run, and leaves something that a report may not leave out."""
        return self.unavailable is None and not all(each.optional for each in self.expected)

    @property
    def complete(self) -> bool:
        """Whether there is a leak, and one for each that must be reported, as far as their kinds go."""
        return bool(self.leaks) and Counter(each.kind for each in self.expected if not each.optional) <= Counter(
            leak["kind"] for leak in self.leaks
        )


def outcome_of(name: str, environment: dict[str, str]) -> Outcome:
    """Run one program and return what came of it."""
    command = [sys.executable, run_program.__file__, name, "--json"]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=_MOST_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as exc:
        return Outcome(failure=f"{name} did not end within {exc.timeout} s: {exc.stderr!r}")
    if done.returncode == run_program.EXIT_UNAVAILABLE:
        return Outcome(unavailable=done.stderr.strip())
    if done.returncode != 0:
        return Outcome(failure=f"{name} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    # A program may print; the report is the last line.
    answer = json.loads(done.stdout.splitlines()[-1])
    return Outcome(answer["leaks"], [Expected(**each) for each in answer["expected"]])


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """What came of each program that the tests of this run are about."""
    selected = programs_of(request.session.items)
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    shared = SharedOutcomes(folder_of_all_workers(tmp_path_factory))
    with postgres_for(selected, request, environment), ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(lambda name: shared.run_unless_claimed(name, environment), selected))
    return {name: shared.wait_for(name) for name in selected}


def folder_of_all_workers(factory: pytest.TempPathFactory) -> Path:
    """A folder that every worker of this run of pytest has, and no other run."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "corpus"
    folder.mkdir(exist_ok=True)
    return folder


@dataclass(frozen=True)
class SharedOutcomes:
    """What came of the programs, in files: one to claim a program by, and one with what came of it."""

    folder: Path

    def run_unless_claimed(self, name: str, environment: dict[str, str]) -> None:
        """Run a program, unless another worker has it in hand."""
        file = self._file(name)
        try:
            file.with_suffix(".claimed").touch(exist_ok=False)
        except FileExistsError:
            return
        unfinished = file.with_suffix(".new")
        unfinished.write_bytes(pickle.dumps(outcome_of(name, environment)))
        unfinished.rename(file)

    def wait_for(self, name: str) -> Outcome:
        """Return what came of it, once its worker knows."""
        deadline = time.monotonic() + 2 * _MOST_SECONDS
        while not self._file(name).exists():
            assert time.monotonic() < deadline, f"the worker that runs {name} does not say what came of it"
            time.sleep(0.05)
        outcome: Outcome = pickle.loads(self._file(name).read_bytes())
        return outcome

    def _file(self, name: str) -> Path:
        return self.folder / f"{name.replace('/', '-')}.outcome"


def programs_of(items: list[pytest.Item]) -> list[str]:
    """The programs that ``items`` are about: that of each test with a program, and all for a test about the whole."""
    selected: dict[str, None] = {}
    for item in items:
        if isinstance(item, pytest.Function) and "outcomes" in item.fixturenames:
            program = item.callspec.params.get("program") if hasattr(item, "callspec") else None
            selected.update(dict.fromkeys([str(program)] if program else [*LEAKING, *CLEAN]))
    return list(selected)


@contextlib.contextmanager
def postgres_for(selected: list[str], request: pytest.FixtureRequest, environment: dict[str, str]) -> Iterator[None]:
    """Give the programs a database, if one of them asks for one and it is to be had; else each says why not."""
    if not any(run_program.requirements(name).get("SERVICE") for name in selected):
        yield
        return
    try:
        server = request.getfixturevalue("postgres_server")
    except pytest.skip.Exception:
        yield
        return
    database = server.new_database()
    environment[POSTGRES_VARIABLE] = database.uri
    try:
        yield
    finally:
        server.drop_database(database)


def parameters(names: list[str]) -> list[Any]:
    """Parameters for pytest; those that need what may be missing are marked, so that it cannot be missing in CI."""
    return [
        pytest.param(name, marks=[pytest.mark.service] if run_program.requirements(name) else [], id=name)
        for name in names
    ]


@pytest.mark.parametrize("program", parameters(LEAKING))
def test_a_leaking_program_gets_its_report(program: str, outcomes: dict[str, Outcome]) -> None:
    """Every leak is reported as expected, proven where it is certain and only there, and nothing else is reported."""
    leaks = outcomes[program].report()
    problems = compare(outcomes[program].expected, leaks)
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("program", parameters(CLEAN))
def test_a_clean_program_gets_no_report(program: str, outcomes: dict[str, Outcome]) -> None:
    """Nothing is reported of a program that leaks nothing."""
    assert outcomes[program].report() == []


def test_nearly_every_leak_is_found_and_half_are_proven(outcomes: dict[str, Outcome]) -> None:
    """Of at least 40 leaking programs all but 5 % are found, at least 20 with proof; there are at least 25 clean ones."""
    ran = {name: outcomes[name] for name in LEAKING if outcomes[name].must_be_found}
    found = {name for name, outcome in ran.items() if outcome.complete}
    proven = {name for name in found if any(leak["proven"] for leak in ran[name].leaks)}
    assert len(ran) >= 40
    assert len(found) >= 0.95 * len(ran), sorted(ran.keys() - found)
    assert len(proven) >= 20
    assert len([name for name in CLEAN if outcomes[name].unavailable is None]) >= 25


_STUCK = {"kind": "thread", "name": "consumer-1", "proven": True, "stack": ["a.py:1 in main", "a.py:7 in consumer"]}


@pytest.mark.parametrize(
    ("expected", "leaks", "problem"),
    [
        ([], [_STUCK], "unexpected"),
        ([Expected("thread", proven=True)], [], "not in the report"),
        ([Expected("thread", proven=False)], [_STUCK], "proven is True, not False"),
        ([Expected("thread", proven=True)], [{**_STUCK, "proven": False}], "proven is False, not True"),
        ([Expected("thread", proven=True, name="producer*")], [_STUCK], "is not like 'producer*'"),
        ([Expected("thread", proven=True, function="produce")], [_STUCK], "'produce' is not in the stack"),
        ([Expected("thread", proven=True, fix="sentinel")], [_STUCK], "'sentinel' is not in fix"),
        ([Expected("thread", proven=True)], [_STUCK, _STUCK], "unexpected"),
    ],
    ids=["extra", "missing", "false proof", "no proof", "name", "function", "fix", "one too many"],
)
def test_a_wrong_report_is_noticed(expected: list[Expected], leaks: list[dict[str, Any]], problem: str) -> None:
    """Each way for a report to be wrong is named."""
    problems = compare(expected, leaks)
    assert len(problems) == 1
    assert problem in problems[0]


def test_a_right_report_is_accepted() -> None:
    """Leaks match whatever their order, and an optional one may be missing."""
    expected = [
        Expected("thread", proven=True, name="consumer-?", function="consumer"),
        Expected("fd", proven=False),
        Expected("socket", optional=True),
    ]
    assert compare(expected, [{"kind": "fd", "proven": False, "name": "x"}, _STUCK]) == []


def test_a_program_that_breaks_is_no_clean_one() -> None:
    """A program that raises gives a failure with its traceback, and not an empty report."""
    outcome = outcome_of("leaking/no_such_program", dict(os.environ))
    assert outcome.failure is not None
    assert "FileNotFoundError" in outcome.failure
