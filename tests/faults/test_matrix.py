"""Every source, every sink, every fault: the right exit code, a clear message, nothing published, nothing left behind.

Standard output can not be taken back: there the exit code tells, and what was written is a beginning of the rows.

That no thread, socket, file or cursor outlives a copy is checked by this project's own leak check around each test; the
kits look from outside for what servers and folders still hold. By default each source meets one sink, and each sink
one source; `make faults` runs every pair.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import product
from pathlib import Path

import pytest

from tests.faults.faults import ROWS, Fault, Ground
from tests.faults.jobs import run
from tests.faults.sinks import S3, SINKS, File, SinkKit, Stdout
from tests.faults.sources import SOURCES, SourceKit, Sqlite, Stdin

SERVER_SECONDS = 5.0
OF_SOURCES = frozenset({Fault.SOURCE_ERROR, Fault.STALLED_SOURCE, Fault.CUT_SOURCE, Fault.BURST_SOURCE})
OF_SINKS = frozenset(
    {Fault.SINK_ERROR, Fault.STALLED_SINK, Fault.CUT_SINK, Fault.BURST_SINK, Fault.DISK_FULL, Fault.READER_GONE}
)


def can_happen(source: type[SourceKit], sink: type[SinkKit], fault: Fault) -> bool:
    in_a_process = sink is Stdout or fault is Fault.DISK_FULL
    if in_a_process and Fault.SIGINT not in source.faults:  # a source that no command line can name
        return False
    if source is Stdin and sink is S3 and fault is Fault.CUT_SINK:
        return False  # another process tries again for two minutes; in this one that is shortened
    if fault in OF_SOURCES:
        return fault in source.faults
    if fault in OF_SINKS:
        return fault in sink.faults
    return fault in source.faults and fault in sink.faults


def is_in_sample(source: type[SourceKit], sink: type[SinkKit], fault: Fault) -> bool:
    return (sink is File and fault not in OF_SINKS) or (source is Sqlite and fault not in OF_SOURCES)


CELLS = [cell for cell in product(SOURCES, SINKS, Fault) if can_happen(*cell)]


def parameters() -> Iterator[object]:
    for cell in CELLS:
        source, sink, fault = cell
        marks = [] if is_in_sample(*cell) else [pytest.mark.slow]
        yield pytest.param(*cell, id=f"{source.name}-{sink.name}-{fault.name.lower()}", marks=marks)


def test_the_sample_has_every_fault_of_every_source_and_sink() -> None:
    """What can happen to a source or a sink at all happens to it in the default run."""
    sample = [cell for cell in CELLS if is_in_sample(*cell)]
    assert {(source, fault) for source, _, fault in sample} >= {(kit, fault) for kit in SOURCES for fault in kit.faults}
    assert {(sink, fault) for _, sink, fault in sample} >= {(kit, fault) for kit in SINKS for fault in kit.faults}


@pytest.mark.parametrize(("source", "sink", "fault"), list(parameters()))
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
        assert bool(ended.message) is not fault.is_quiet
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
