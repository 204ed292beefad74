"""What the pytest plugin costs: everybody who has penstock installed, and those who check their tests for leaks."""

from __future__ import annotations

import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from bench.registry import MICROSECONDS_EACH, MILLISECONDS_EACH, Bar, Contender, Row, Run, Unit, needs

NO_TESTS = 5
"""pytest's exit status when there was nothing to run."""

OWN_TESTS, OWN_SECONDS = 1857, 172.0
"""The last line of this project's own ``make test``, without --leakcheck. Seen on 2026-11-21."""

SUITE_TESTS = 500
EMPTY_SUITE = f"""
import pytest

@pytest.mark.parametrize("number", range({SUITE_TESTS}))
def test_nothing(number):
    pass
"""
THREAD_SUITE = f"""
import threading
import pytest

@pytest.mark.parametrize("number", range({SUITE_TESTS}))
def test_one_thread(number):
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()
"""
# Into a file, for output is captured while tests run, as everywhere; and the first to come is the last to leave.
CONFTEST = """
import time
import pytest

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtestloop(session):
    started_at = time.perf_counter()
    try:
        return (yield)
    finally:
        session.config.rootpath.joinpath("loop-seconds").write_text(str(time.perf_counter() - started_at))
"""


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds of one run of pytest: the loop over its tests, the process as a whole, and how long that computed."""

    loop: float
    whole: float
    processor: float


@contextmanager
def suite(tests: str | None) -> Iterator[Path]:
    """A folder in which pytest finds these tests and nothing else."""
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name:
        folder = Path(name)
        (folder / "pytest.ini").write_text("[pytest]\n")
        (folder / "conftest.py").write_text(CONFTEST)
        if tests is not None:
            (folder / "test_suite.py").write_text(tests)
        yield folder


def run_pytest(folder: Path, *options: str, plugins: tuple[str, ...] = (), status: int = 0) -> Took:
    """Run pytest there with these plugins; of all others that are installed, none."""
    names = {point.name for point in entry_points(group="pytest11")}
    blocked = [f"-pno:{name}" for name in sorted(names.difference(plugins))]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *blocked, *options]
    # Plugins are rewritten for their asserts at the first start, and kept; not to keep them is not how people run it.
    unusual = ("PYTEST_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unusual)}
    computed, started_at = _processor_seconds(), time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=kept, check=False, capture_output=True, text=True, timeout=300)
    whole, computed = time.perf_counter() - started_at, _processor_seconds() - computed
    if done.returncode != status:
        raise RuntimeError(f"pytest ended with {done.returncode}: {(done.stdout + done.stderr).strip()[-200:]}")
    if status == 0 and f"{SUITE_TESTS} passed" not in done.stdout:
        raise RuntimeError(f"not all tests ran: {done.stdout.strip()[-200:]}")
    return Took(float((folder / "loop-seconds").read_text()), whole, computed)


def _processor_seconds() -> float:
    """What all processes have computed that were started from here and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def added_to_start(count: int) -> float:
    """Seconds that having the plugin adds to a start of pytest: the least of ``count`` starts with it and without.

    Of processor time: a start waits for nothing else. And the least of them: the work is always the same, so whatever
    came on top is the machine's, and is easily ten times what is looked for.
    """
    ways = [("penstock",), ()]
    took: dict[tuple[str, ...], list[float]] = {plugins: [] for plugins in ways}
    with suite(None) as folder:
        run_pytest(folder, plugins=("penstock",), status=NO_TESTS)  # compiles what is to be compiled
        for _ in range(count):
            for plugins in ways:
                took[plugins].append(run_pytest(folder, plugins=plugins, status=NO_TESTS).processor)
            ways.reverse()
    return count * (min(took["penstock",]) - min(took[()]))


def start(*plugins: str) -> Run:
    """Seconds from a start of pytest to its end, with nothing to run."""

    def run(count: int) -> float:
        with suite(None) as folder:
            return sum(run_pytest(folder, plugins=plugins, status=NO_TESTS).whole for _ in range(count))

    return run


def imported(count: int) -> float:
    """Seconds that importing the plugin takes where pytest is imported already, by the interpreter's own account."""
    return count * statistics.median(_import_seconds() for _ in range(count))


def _import_seconds() -> float:
    command = [sys.executable, "-X", "importtime", "-c", "import pytest, penstock.pytest_plugin"]
    told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stderr
    # import time: self [us] | cumulative | imported package; cumulative includes what it imported in turn
    found = re.search(r"^import time: +\d+ \| +(\d+) \| penstock\.pytest_plugin$", told, re.MULTILINE)
    if found is None:
        raise RuntimeError("the account of imports does not mention the plugin")
    return int(found[1]) / 1e6


def loop(tests: str, *options: str, plugin: str = "penstock") -> Run:
    """Seconds of the loop over the tests, of a suite that is run ``count`` / ``SUITE_TESTS`` times."""

    def run(count: int) -> float:
        with suite(tests) as folder:
            runs = [run_pytest(folder, *options, plugins=(plugin,)).loop for _ in range(max(1, count // SUITE_TESTS))]
        return statistics.fmean(runs) * count / SUITE_TESTS

    return run


def added_to_own_run(tests: str) -> Run:
    """Seconds that --leakcheck would add to as many tests as this project has, were they like these."""

    def once() -> float:
        with suite(tests) as folder:
            off, on = (run_pytest(folder, *how, plugins=("penstock",)) for how in ((), ("--leakcheck",)))
        loops = on.loop - off.loop
        around_them = (on.whole - off.whole) - loops  # imports; paid once however many tests there are
        return around_them + loops * OWN_TESTS / SUITE_TESTS

    return lambda count: sum(once() for _ in range(count))


OWN_RUN = Unit("% of our run", lambda seconds, count: seconds / count / OWN_SECONDS * 100)

present: Callable[[], str | None] = needs("pytest")

START = Row(
    name="leaks-plugin-start",
    title="pytest's start with the plugin installed and not switched on",
    unit=MILLISECONDS_EACH,
    count=15,
    quick_count=5,
    contenders=(
        Contender("added to the start", added_to_start, present),
        Contender("import penstock.pytest_plugin", imported, present),
        Contender("pytest, with it", start("penstock"), present),
        Contender("pytest, without", start(), present),
    ),
    bars=(Bar("added to the start", "<=", 5), Bar("import penstock.pytest_plugin", "<=", 5)),
)

TESTS = Row(
    name="leaks-plugin-test",
    title="a test in pytest's loop",
    unit=MICROSECONDS_EACH,
    count=SUITE_TESTS,
    quick_count=SUITE_TESTS,
    contenders=(
        Contender("empty test", loop(EMPTY_SUITE), present),
        Contender("empty test, --leakcheck", loop(EMPTY_SUITE, "--leakcheck"), present),
        Contender(
            "empty test, --threadleak",
            loop(EMPTY_SUITE, "--threadleak", plugin="threadleak"),
            needs("pytest_threadleak"),
        ),
        Contender("test with a thread", loop(THREAD_SUITE), present),
        Contender("test with a thread, --leakcheck", loop(THREAD_SUITE, "--leakcheck"), present),
    ),
)

SHARE = Row(
    name="leaks-plugin-share",
    title=f"what --leakcheck adds to {OWN_TESTS:,} tests that take {OWN_SECONDS:g} s",
    unit=OWN_RUN,
    count=1,
    quick_count=1,
    contenders=(
        Contender("were they empty", added_to_own_run(EMPTY_SUITE), present),
        Contender("did each start a thread", added_to_own_run(THREAD_SUITE), present),
    ),
    bars=(Bar("were they empty", "<=", 2), Bar("did each start a thread", "<=", 2)),
)

ROWS = (START, TESTS, SHARE)
