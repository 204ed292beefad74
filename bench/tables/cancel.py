"""How long a copy takes to end once it is cancelled, for every source and every sink: ``python -m bench.tables.cancel``.

Sources, sinks and faults are those of ``tests/faults``. A copy runs in a thread; another cancels its scope at one of
three moments, and the clock runs until ``copy`` has raised and no thread is left of it. Then servers and folders are
looked at: a copy that ended soon and left an upload open, a query running or a file behind counts as failed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter, sleep
from typing import Any, cast

import pytest

import penstock
from bench.tables.page import facts_with, update_page
from bench.tables.services import Services
from penstock.engines.outcome import Snapshot
from tests.faults.faults import Fault, Given, Ground
from tests.faults.sinks import SINKS as EVERY_SINK, SinkKit
from tests.faults.sources import SOURCES as EVERY_SOURCE, SourceKit
from tests.servers import Unavailable

# A copy is cancelled in this process, whose own standard input and output are not for that: the fault tests have them.
SOURCES = tuple(kind for kind in EVERY_SOURCE if kind.name != "stdin")
SINKS = tuple(kind for kind in EVERY_SINK if kind.name != "stdout")

RESULTS = Path("bench/results/cancel.json")
BAR_MS = 250.0
RATE = "4MiB"  # a second, of 8.5 MiB
MOVED_BYTES = 11 << 19  # 5.5 MiB: the first part of an upload is on its way
MEMORY = "32MiB"
PATIENCE_SECONDS = 30.0
SILENT_SECONDS = 2.0
GONE_SECONDS = 5.0
SERVER_THREADS = ("http-server", "proxy", "proxied")  # of the servers that run in this process

Moment = tuple[str, Fault, dict[str, Any]]
MOMENTS: dict[str, Moment] = {
    "moving": ("while bytes move, held to 4 MiB/s", Fault.NONE, {"bwlimit": RATE}),
    "source": ("while the source gives nothing more", Fault.STALLED_SOURCE, {}),
    "sink": ("while the sink takes nothing more", Fault.STALLED_SINK, {}),
}


@dataclass(frozen=True)
class Cell:
    """One pair at one moment.

    Attributes:
        moment: when it was cancelled.
        source: name of its kind.
        sink: name of its kind.
        milliseconds: from the cancel until all was gone, of each run.
        problem: why it does not count; ``""`` if it does.
    """

    moment: str
    source: str
    sink: str
    milliseconds: tuple[float, ...] = ()
    problem: str = ""


def main() -> int:
    """Measure what was asked for, print a matrix for each moment, save the figures; 1 when one missed the bar."""
    options = _parser().parse_args()
    cells = []
    with Services() as services:
        for moment, source, sink in _pairs(options):
            cells.append(_cell(services, moment, source, sink, options.rounds))
            _tell(cells[-1])
    facts = facts_with(["penstock", "pyarrow", "duckdb", "pymongo", "botocore"])
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps({"machine": facts, "cells": [asdict(cell) for cell in cells]}, indent=1))
    text = "\n\n".join(_matrix(moment, cells) for moment in options.moment)
    print(text)
    if options.update_page:
        how = f"the slowest of {options.rounds} runs of each"
        update_page("cancel-pairs", text, module="bench.tables.cancel", facts=facts, how=how)
    return int(any(cell.problem or max(cell.milliseconds) > BAR_MS for cell in cells))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.tables.cancel", description="Cancel copies.")
    parser.add_argument("--moment", nargs="+", choices=list(MOMENTS), default=list(MOMENTS))
    parser.add_argument("--source", nargs="+", choices=[kind.name for kind in SOURCES])
    parser.add_argument("--sink", nargs="+", choices=[kind.name for kind in SINKS])
    parser.add_argument("--rounds", type=int, default=3, help="runs of each pair; default: %(default)s")
    parser.add_argument("--update-page", action="store_true", help="put the matrices into docs/performance.md")
    return parser


def _pairs(options: argparse.Namespace) -> Iterator[tuple[str, type[SourceKit], type[SinkKit]]]:
    for moment in options.moment:
        fault = MOMENTS[moment][1]
        for source in SOURCES:
            for sink in SINKS:
                asked = source.name in (options.source or [source.name]) and sink.name in (options.sink or [sink.name])
                stalls = sink if fault is Fault.STALLED_SINK else source
                if asked and fault in stalls.faults:
                    yield moment, source, sink


def _cell(services: Services, moment: str, source: type[SourceKit], sink: type[SinkKit], rounds: int) -> Cell:
    taken = []
    for _round in range(rounds):
        try:
            taken.append(_cancelled(services, moment, source, sink) * 1000)
        except (_Spoilt, Unavailable, pytest.skip.Exception) as exc:
            return Cell(moment, source.name, sink.name, tuple(taken), str(exc))
    return Cell(moment, source.name, sink.name, tuple(taken))


class _Spoilt(Exception):
    """A run that is no measurement; the message says why."""


def _cancelled(services: Services, moment: str, source: type[SourceKit], sink: type[SinkKit]) -> float:
    """Run one copy, cancel it, and return the seconds until all of it was gone."""
    _words, fault, slowed = MOMENTS[moment]
    with (
        tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder,
        ExitStack() as servers,
        services.for_one_copy() as fixtures,
        ExitStack() as troubles,
    ):
        ground = Ground(cast(pytest.FixtureRequest, fixtures), Path(folder), servers, troubles)
        reading, writing = source(ground), sink(ground)
        given, taking = reading.given(fault), writing.given(fault)
        for name, value in {**given.environment, **taking.environment}.items():
            fixtures.getfixturevalue("monkeypatch").setenv(name, value)
        seconds = _timed(given, taking, slowed, _has_moved if fault is Fault.NONE else _Stalled())
        troubles.close()
        left = [*_left_behind(reading), *_left_behind(writing)]
        if writing.published() is not None:
            left.append("something was published")
        if left:
            raise _Spoilt(f"left behind: {', '.join(left)}")
        return seconds


def _timed(source: Given, sink: Given, slowed: dict[str, Any], is_time: Callable[[Snapshot], bool]) -> float:
    copying = _Copying(source, sink, slowed, is_time)
    before = set(threading.enumerate())
    copying.thread.start()
    its_time = copying.ready.wait(PATIENCE_SECONDS)
    if not its_time or copying.ended is not None:
        copying.scope.cancel()
        copying.thread.join()
        said = "it ended before it was cancelled" if its_time else "it never came to the moment"
        raise _Spoilt(f"{said}: {copying.ended!r}")
    began = perf_counter()
    copying.scope.cancel()
    copying.thread.join()
    while left := [thread for thread in threading.enumerate() if thread not in before and not _of_a_server(thread)]:
        if perf_counter() - began > GONE_SECONDS:
            raise _Spoilt(f"threads are left: {', '.join(thread.name for thread in left)}")
        sleep(0.001)
    seconds = perf_counter() - began
    if not isinstance(copying.ended, penstock.Cancelled):
        raise _Spoilt(f"it was not cancelled: {copying.ended!r}")
    return seconds


class _Copying:
    """A copy in a thread of its own, that says when it is time to cancel it."""

    def __init__(self, source: Given, sink: Given, slowed: dict[str, Any], is_time: Callable[[Snapshot], bool]) -> None:
        self.scope = penstock.CancelScope()
        self.ready = threading.Event()
        self.ended: object = None
        self._source, self._sink = source, sink
        self._options = {"max_memory": MEMORY, **slowed, **source.options, **sink.options}
        self._is_time = is_time
        self.thread = threading.Thread(target=self._run, name="copying")

    def _run(self) -> None:
        try:
            with self.scope:
                try:
                    self.ended = penstock.copy(self._source.uri, self._sink.uri, progress=self._look, **self._options)
                except BaseException as exc:
                    self.ended = exc
                    raise
        except Exception as exc:  # noqa: BLE001 - told by the thread that waits
            self.ended = exc
        finally:
            self.ready.set()

    def _look(self, snapshot: Snapshot) -> None:
        if self._is_time(snapshot):
            self.ready.set()


def _has_moved(snapshot: Snapshot) -> bool:
    return snapshot.bytes >= MOVED_BYTES


class _Stalled:
    """Whether no byte has moved between two looks, after some had; or none came for two seconds."""

    def __init__(self) -> None:
        self._last = 0

    def __call__(self, snapshot: Snapshot) -> bool:
        has_begun = snapshot.bytes > 0 or snapshot.elapsed_seconds > SILENT_SECONDS
        is_stalled = has_begun and snapshot.bytes == self._last
        self._last = snapshot.bytes
        return is_stalled


def _of_a_server(thread: threading.Thread) -> bool:
    return thread.name.startswith(SERVER_THREADS)


def _left_behind(kit: SourceKit | SinkKit) -> list[str]:
    """Return what is there still, once a server has had time to see that its client has gone."""
    deadline = perf_counter() + GONE_SECONDS
    while (left := kit.left_behind()) and perf_counter() < deadline:
        sleep(0.01)
    return left


def _matrix(moment: str, cells: list[Cell]) -> str:
    """Return a table of the slowest run of each pair, sources down and sinks across, and the slowest of all."""
    found = {(cell.source, cell.sink): cell for cell in cells if cell.moment == moment}
    sinks = [kind.name for kind in SINKS if any(sink == kind.name for _source, sink in found)]
    sources = [kind.name for kind in SOURCES if any(source == kind.name for source, _sink in found)]
    lines = [f"| Cancelled {MOMENTS[moment][0]} | {' | '.join(sinks)} |", f"| --- |{' ---: |' * len(sinks)}"]
    for source in sources:
        row = [_shown(found.get((source, sink))) for sink in sinks]
        lines.append(f"| {source} | {' | '.join(row)} |")
    return "\n".join([*lines, "", _verdict(list(found.values()))])


def _shown(cell: Cell | None) -> str:
    if cell is None:
        return ""
    return "failed" if cell.problem else f"{max(cell.milliseconds):.0f} ms"


def _verdict(cells: list[Cell]) -> str:
    measured = [cell for cell in cells if not cell.problem]
    failed = [f"{cell.source} to {cell.sink}: {cell.problem}" for cell in cells if cell.problem]
    parts = []
    if measured:
        slowest = max(measured, key=lambda cell: max(cell.milliseconds))
        longest = max(slowest.milliseconds)
        verdict = "ok" if longest <= BAR_MS and not failed else "MISS"
        parts.append(
            f"Slowest: {longest:.0f} ms ({slowest.source} to {slowest.sink}); bar <= {BAR_MS:.0f} ms: {verdict}."
        )
    return " ".join([*parts, *(f"Failed: {text}." for text in failed)])


def _tell(cell: Cell) -> None:
    figures = ", ".join(f"{milliseconds:.0f}" for milliseconds in cell.milliseconds)
    print(f"{cell.moment}: {cell.source} to {cell.sink}: {cell.problem or figures + ' ms'}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
