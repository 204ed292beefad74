"""What a check for leaks costs around a block of code, in a small process and in a big one, and around a test."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from bench.registry import MILLISECONDS_EACH, Bar, Contender, Row, Run, needs, repeated

OBJECTS, THREADS = 500_000, 200
BIG = ("--objects", str(OBJECTS), "--threads", str(THREADS))
MOST_MILLISECONDS = 5
"""What ``leakcheck`` around a block that leaves nothing may cost."""


def in_process(case: str, *options: str) -> Run:
    """The median of ``count`` repetitions in a fresh process, after one that does not count; starting does not either."""

    def run(count: int) -> float:
        return count * _seconds(case, "--count", str(count), *options)

    return run


def first_in_process(case: str, *options: str) -> Run:
    """Every repetition is the first of a fresh process, with whatever is imported only then."""
    return repeated(lambda: _seconds(case, "--cold", *options))


def _seconds(*arguments: str) -> float:
    command = [sys.executable, "-m", "bench.leak_costs", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return float(done.stdout)


Contest = tuple[str, str, Callable[[], str | None]]
"""A contender's name, its case in bench/leak_costs.py, and what it needs."""


def present() -> None:
    """Nothing is needed."""


EMPTY: tuple[Contest, ...] = (
    ("leakcheck()", "leakcheck", present),
    ("leakcheck(), async", "leakcheck-async", present),
    ("snapshot() alone", "snapshot", present),
    ("pyleak no_thread_leaks()", "pyleak-threads", needs("pyleak")),
    ("pyleak no_thread_leaks(grace_period=0)", "pyleak-threads-without-wait", needs("pyleak")),
    ("pyleak no_task_leaks(), async", "pyleak-tasks", needs("pyleak")),
    ("pytest-threadleak", "threadleak", needs("pytest_threadleak")),
)

ONE_THREAD: tuple[Contest, ...] = (
    ("no check", "thread", present),
    ("leakcheck()", "thread-leakcheck", present),
    ("pyleak no_thread_leaks()", "thread-pyleak", needs("pyleak")),
    ("pyleak no_thread_leaks(grace_period=0)", "thread-pyleak-without-wait", needs("pyleak")),
    ("pytest-threadleak", "thread-threadleak", needs("pytest_threadleak")),
)


def contenders(contests: tuple[Contest, ...], *options: str) -> tuple[Contender, ...]:
    return tuple(Contender(name, in_process(case, *options), unavailable) for name, case, unavailable in contests)


SMALL_PROCESS = Row(
    name="leaks-empty",
    title="a check around an empty block, small process",
    unit=MILLISECONDS_EACH,
    count=40,
    quick_count=5,
    contenders=contenders(EMPTY),
    bars=(Bar("leakcheck()", "<=", MOST_MILLISECONDS),),
)

BIG_PROCESS = Row(
    name="leaks-empty-big",
    title=f"a check around an empty block, {OBJECTS:,} objects and {THREADS} threads",
    unit=MILLISECONDS_EACH,
    count=40,
    quick_count=5,
    contenders=contenders(EMPTY, *BIG),
    bars=(Bar("leakcheck()", "<=", MOST_MILLISECONDS),),
)

WITH_THREAD = Row(
    name="leaks-thread",
    title="a check around a block that starts and joins one thread",
    unit=MILLISECONDS_EACH,
    count=40,
    quick_count=5,
    contenders=(
        *contenders(ONE_THREAD),
        Contender("leakcheck(), big process", in_process("thread-leakcheck", *BIG)),
    ),
)

VERDICT = Row(
    name="leaks-verdict",
    title="from the end of a block that left one thread to the verdict, without patience",
    unit=MILLISECONDS_EACH,
    count=5,
    quick_count=1,
    contenders=(
        Contender("find_leaks(grace=0)", in_process("verdict-leakcheck")),
        Contender("find_leaks(grace=0), first of a process", first_in_process("verdict-leakcheck")),
        Contender("find_leaks(grace=0), big process", in_process("verdict-leakcheck", *BIG)),
        Contender("pyleak no_thread_leaks(grace_period=0)", in_process("verdict-pyleak"), needs("pyleak")),
        Contender("the same, big process", in_process("verdict-pyleak", *BIG), needs("pyleak")),
        Contender("pytest-threadleak", in_process("verdict-threadleak"), needs("pytest_threadleak")),
        Contender("pytest-threadleak, big process", in_process("verdict-threadleak", *BIG), needs("pytest_threadleak")),
    ),
)

ROWS = (SMALL_PROCESS, BIG_PROCESS, WITH_THREAD, VERDICT)
