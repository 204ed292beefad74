"""Every source, every sink, every fault: the right exit code, a clear message, nothing published, nothing left behind.

That no thread, socket, file or cursor outlives a copy is checked by this project's own leak check around each test; the
kits look from outside for what servers and folders still hold. By default each source meets one sink, and each sink
one source; `make faults` runs every pair.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.faults import ROWS, Fault, Ground
from tests.faults.jobs import run
from tests.faults.sinks import SINKS, File, SinkKit
from tests.faults.sources import SOURCES, SourceKit, Sqlite

SERVER_SECONDS = 5.0
OF_SOURCES = frozenset({Fault.SOURCE_ERROR, Fault.STALLED_SOURCE, Fault.CUT_SOURCE, Fault.BURST_SOURCE})
OF_SINKS = frozenset({Fault.SINK_ERROR, Fault.STALLED_SINK, Fault.CUT_SINK, Fault.BURST_SINK, Fault.DISK_FULL})


def can_happen(source: type[SourceKit], sink: type[SinkKit], fault: Fault) -> bool:
    if fault in OF_SOURCES:
        return fault in source.faults
    if fault in OF_SINKS:  # a full disk needs a process of its own
        return fault in sink.faults and (fault is not Fault.DISK_FULL or Fault.SIGINT in source.faults)
    return fault in source.faults and fault in sink.faults


def cells() -> Iterator[object]:
    for source in SOURCES:
        for sink in SINKS:
            for fault in Fault:
                if can_happen(source, sink, fault):
                    in_sample = (sink is File and fault not in OF_SINKS) or (
                        source is Sqlite and fault not in OF_SOURCES
                    )
                    marks = [] if in_sample else [pytest.mark.slow]
                    name = f"{source.name}-{sink.name}-{fault.name.lower()}"
                    yield pytest.param(source, sink, fault, id=name, marks=marks)


@pytest.mark.parametrize(("source", "sink", "fault"), list(cells()))
def test_a_copy_ends_well_or_leaves_nothing(
    source: type[SourceKit],
    sink: type[SinkKit],
    fault: Fault,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Complete or not there at all; a clear message and the right code; no query, upload or file remains."""
    with ExitStack() as servers, ExitStack() as troubles:
        ground = Ground(request, tmp_path, servers, troubles)
        reading, writing = source(ground), sink(ground)
        ended = run(reading.given(fault), writing.given(fault), fault, monkeypatch)
        troubles.close()
        assert ended.code in fault.exit_codes, ended.message
        assert ended.message
        assert "Traceback" not in ended.message
        nothing = (
            0 if fault is Fault.SINK_ERROR and ended.code else None
        )  # the table that refuses a row was there before
        assert writing.published() in ({ROWS} if ended.code == 0 else {None, nothing})
        assert left_behind(writing) == []
        assert left_behind(reading) == []


def left_behind(kit: SourceKit | SinkKit) -> list[str]:
    """Return what is there still, once a server has had time to see that its client has gone."""
    deadline = time.monotonic() + SERVER_SECONDS
    while (left := kit.left_behind()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left
