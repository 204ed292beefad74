"""Run one program of the corpus in a process of its own, and say what a detector finds left behind.

    python tests/leaks/run_program.py leaking/never_set_event [--json] [--grace 0.2]

Nothing here keeps what the program made: a reference from here would be a way to wake what can never wake. The process
ends without waiting for threads and without finalizers, which leaked things may keep from ever ending.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import contextlib
import dataclasses
import faulthandler
import importlib.util
import inspect
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

if __name__ == "__main__":
    # As a script this folder would come first, and its modules would hide others of the same name.
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from tests.leaks.corpus import POSTGRES_VARIABLE, load
from tests.servers import Unavailable

__all__ = ["EXIT_UNAVAILABLE", "Detector", "PenstockLeaks", "requirements", "run"]

EXIT_UNAVAILABLE = 77
"""The exit code when a program needs something that is not there; standard error says what."""

_HANG_SECONDS = 60.0


class Detector(Protocol):
    """What looks for leaks: asked before a program runs and after, in the same thread, or in the same event loop."""

    def begin(self) -> Any:
        """Take note of what is there now; return whatever ``end`` needs."""

    def end(self, begun: Any) -> Any:
        """Return what is there now and was not at ``begin``."""

    async def begin_async(self) -> Any:
        """As ``begin``, in a running event loop."""

    async def end_async(self, begun: Any) -> Any:
        """As ``end``, in a running event loop."""


class PenstockLeaks:
    """``penstock.leaks`` as a detector."""

    def __init__(self, grace: float) -> None:
        from penstock import leaks

        self._leaks = leaks
        self._grace = grace

    def begin(self) -> Any:
        return self._leaks.snapshot()

    def end(self, begun: Any) -> Any:
        return self._leaks.find_leaks(since=begun, grace=self._grace)

    async def begin_async(self) -> Any:
        return self._leaks.snapshot()

    async def end_async(self, begun: Any) -> Any:
        return await self._leaks.find_leaks_async(since=begun, grace=self._grace)


def run(name: str, detector: Detector, deliver: Callable[[Any], None]) -> None:
    """Run the program ``name`` and give ``deliver`` what ``detector`` found, before anything is cleaned up."""
    program = load(name)
    if not inspect.iscoroutinefunction(program.program):
        _call(program, "prepare")
        begun = detector.begin()
        program.program()
        deliver(detector.end(begun))
        _call(program, "cleanup")
    elif getattr(program, "LOOP", "asyncio") == "trio":
        import trio

        trio.run(_run_async, program, detector, deliver)
    else:
        # Not asyncio.run: it would wait for the worker threads of the loop, which may be what has leaked.
        asyncio.new_event_loop().run_until_complete(_run_async(program, detector, deliver))


async def _run_async(program: ModuleType, detector: Detector, deliver: Callable[[Any], None]) -> None:
    await _call_async(program, "prepare")
    begun = await detector.begin_async()
    await program.program()
    deliver(await detector.end_async(begun))
    await _call_async(program, "cleanup")


def _call(program: ModuleType, hook: str) -> None:
    if hasattr(program, hook):
        getattr(program, hook)()


async def _call_async(program: ModuleType, hook: str) -> None:
    if hasattr(program, hook):
        outcome = getattr(program, hook)()
        if inspect.isawaitable(outcome):
            await outcome


def requirements(name: str) -> dict[str, Any]:
    """The constants ``REQUIRES`` and ``SERVICE`` of a program, read without running it."""
    source = Path(__file__).with_name("corpus").joinpath(f"{name}.py").read_text(encoding="utf-8")
    return {
        target.id: ast.literal_eval(statement.value)
        for statement in ast.parse(source).body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name) and target.id in ("REQUIRES", "SERVICE")
    }


@contextlib.contextmanager
def _provided(name: str) -> Iterator[None]:
    """See to what the program requires; start a server of its own where no address is given."""
    needs = requirements(name)
    for module in needs.get("REQUIRES", ()):
        if importlib.util.find_spec(module.partition(".")[0]) is None:
            raise Unavailable(f"{module} is not installed")
    if needs.get("SERVICE") != "postgres" or POSTGRES_VARIABLE in os.environ:
        yield
        return
    if importlib.util.find_spec("psycopg") is None:
        raise Unavailable("psycopg is not installed")
    from tests.servers.postgres import run_postgres

    with run_postgres() as server:
        os.environ[POSTGRES_VARIABLE] = server.maintenance.uri
        yield


def expected(name: str) -> dict[str, Any]:
    """What the loaded program ``name`` says must be reported, in a form that JSON can hold."""
    return {"expected": [dataclasses.asdict(leak) for leak in getattr(load(name), "LEAKS", ())]}


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="leaking/NAME or clean/NAME")
    parser.add_argument("--json", action="store_true", help="print the report, and what it should be, as JSON")
    parser.add_argument("--grace", type=float, default=0.2, help="seconds of patience with stragglers")
    options = parser.parse_args()
    faulthandler.dump_traceback_later(_HANG_SECONDS, exit=True)

    def deliver(report: Any) -> None:
        text = json.dumps(report.to_dict() | expected(options.program)) if options.json else str(report)
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    exit_code = 0
    try:
        with _provided(options.program):
            run(options.program, PenstockLeaks(options.grace), deliver)
    except Unavailable as exc:
        sys.stderr.write(f"{exc}\n")
        exit_code = EXIT_UNAVAILABLE
    except BaseException:
        traceback.print_exc()
        exit_code = 1
    sys.stderr.flush()
    os._exit(exit_code)  # whatever a leak would keep the interpreter from ending for


if __name__ == "__main__":
    main()
