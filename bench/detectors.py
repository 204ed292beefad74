"""Ask one detector of leaks about one program of tests/leaks/corpus, in a process of its own.

    python -m bench.detectors penstock leaking/never_set_event

prints, as JSON, the kinds of what the detector reported, how much of it is proven, the kinds of what there is, and
whether any of that must be reported.
Every detector is used the way its documentation says, with what it does by default; all are asked at the same two
moments, in the same thread or event loop.
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import importlib.util
import json
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.registry import needs
from tests.leaks import run_program
from tests.leaks.corpus import load

HANG_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Found:
    """What a detector reported: the kind of each thing it named, and how many of them it calls proven."""

    kinds: tuple[str, ...] = ()
    proven: int = 0


class Penstock(run_program.PenstockLeaks):
    """``find_leaks(since=snapshot())``."""

    def __init__(self) -> None:
        from penstock.leaks._check import GRACE_SECONDS

        super().__init__(GRACE_SECONDS)

    def end(self, begun: Any) -> Found:
        return self._found(super().end(begun))

    async def end_async(self, begun: Any) -> Found:
        return self._found(await super().end_async(begun))

    @staticmethod
    def _found(report: Any) -> Found:
        return Found(tuple(leak.kind for leak in report), len(report.proven))


class Pyleak:
    """What pyleak's own marker for tests does, ``@pytest.mark.no_leaks``: tasks, then threads.

    Without its watch for a blocked event loop, which is about something else. It knows nothing of trio, and there is
    asked about threads only.
    """

    def __init__(self, **options: Any) -> None:
        self._options = options

    def begin(self) -> Any:
        return self._combined(is_async=False).__enter__()

    def end(self, begun: Any) -> Found:
        from pyleak.base import PyleakExceptionGroup

        try:
            begun.__exit__(None, None, None)
        except PyleakExceptionGroup as found:
            return self._found(found)
        return Found()

    async def begin_async(self) -> Any:
        return await self._combined(is_async=_in_asyncio()).__aenter__()

    async def end_async(self, begun: Any) -> Found:
        from pyleak.base import PyleakExceptionGroup

        try:
            await begun.__aexit__(None, None, None)
        except PyleakExceptionGroup as found:
            return self._found(found)
        return Found()

    def _combined(self, *, is_async: bool) -> Any:
        from pyleak.combined import CombinedLeakDetector, PyLeakConfig

        return CombinedLeakDetector(PyLeakConfig(blocking=False, **self._options), is_async)

    @staticmethod
    def _found(found: Any) -> Found:
        from pyleak import TaskLeakError

        return Found(tuple("task" if isinstance(error, TaskLeakError) else "thread" for error in found.exceptions))


class Threadleak:
    """What the hook of pytest-threadleak does, with its own function."""

    def begin(self) -> Any:
        from pytest_threadleak import current_threads

        return current_threads()

    def end(self, begun: Any) -> Found:
        from pytest_threadleak import current_threads

        return Found(("thread",) * len(current_threads() - begun))

    async def begin_async(self) -> Any:
        return self.begin()

    async def end_async(self, begun: Any) -> Found:
        return self.end(begun)


def _in_asyncio() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Contestant:
    """A detector, what it is called in tables, and why it cannot be had, if so."""

    title: str
    make: Callable[[], run_program.Detector]
    unavailable: Callable[[], str | None] = lambda: None


CONTESTANTS = {
    "penstock": Contestant("penstock.leaks", Penstock),
    "pyleak": Contestant("pyleak", Pyleak, needs("pyleak")),
    "pyleak-daemons": Contestant(
        "pyleak, exclude_daemon=False", lambda: Pyleak(exclude_daemon_threads=False), needs("pyleak")
    ),
    "threadleak": Contestant("pytest-threadleak", Threadleak, needs("pytest_threadleak")),
}


def missing(program: str, services: frozenset[str] | set[str]) -> str | None:
    """Why this program cannot run here, or None when it can."""
    requires = run_program.requirements(program)
    for module in requires.get("REQUIRES", ()):
        if importlib.util.find_spec(module.partition(".")[0]) is None:
            return f"{module} is not installed"
    service = requires.get("SERVICE")
    return f"there is no {service}" if service and service not in services else None


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m bench.detectors", description=__doc__)
    parser.add_argument("detector", choices=CONTESTANTS)
    parser.add_argument("program", help="leaking/NAME or clean/NAME")
    options = parser.parse_args()
    faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)

    def deliver(found: Found) -> None:
        leaks = getattr(load(options.program), "LEAKS", ())
        there_is = {"expected": [leak.kind for leak in leaks], "required": any(not leak.optional for leak in leaks)}
        print(json.dumps({"kinds": found.kinds, "proven": found.proven} | there_is), flush=True)

    run_program.run(options.program, CONTESTANTS[options.detector].make(), deliver)


if __name__ == "__main__":
    code = 0
    try:
        main()
    except SystemExit:
        raise  # argparse, before anything can have leaked
    except BaseException:  # noqa: BLE001 - a program may let any through; whoever started this reads what it was
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # whatever a leak would keep the interpreter from ending for
