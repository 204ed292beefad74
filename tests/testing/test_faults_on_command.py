"""Sources and sinks that fail and stall on command, as parts of a real copy."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

import penstock
from penstock.flow.contracts import Sink, Source, TableSink
from penstock.testing import (
    BatchesSource,
    BytesSource,
    MemorySink,
    MemoryTable,
    failing_after,
    stall,
    stalling_after,
)
from tests.core.threads import PROMPT, start

BATCH = pa.RecordBatch.from_pylist([{"n": 1}, {"n": 2}])


def test_they_satisfy_the_contracts() -> None:
    """So whatever takes a source or a sink takes them."""
    assert isinstance(BytesSource([]), Source)
    assert isinstance(BatchesSource(BATCH.schema, []), Source)
    assert isinstance(MemorySink(), Sink)
    assert isinstance(MemoryTable(), TableSink)


def test_rows_that_fail_publish_nothing(tmp_path: Path) -> None:
    """The error of a generator is that of its source, and no file appears."""
    error = penstock.SourceError("row 100 is bad", where="generator")
    with pytest.raises(penstock.SourceError) as caught:
        penstock.copy(failing_after(({"n": n} for n in range(100)), error), tmp_path / "out.csv")
    assert caught.value is error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "source",
    [
        lambda: BytesSource([b"n\n1\n", stall]),
        lambda: BatchesSource(BATCH.schema, [BATCH, stall]),
        lambda: stalling_after([{"n": 1}]),
    ],
    ids=["bytes", "batches", "rows"],
)
def test_a_stalled_source_is_found_out(source: object, tmp_path: Path) -> None:
    """By the stall timeout, in which each of them wakes."""
    with pytest.raises(penstock.StallError, match="the source does not answer"):
        penstock.copy(source() if callable(source) else source, tmp_path / "out.csv", stall_timeout=0.3)
    assert list(tmp_path.iterdir()) == []


def test_a_stalled_sink_is_found_out() -> None:
    """As a destination that does not read."""
    sink = MemorySink(on_read=stall)
    with pytest.raises(penstock.StallError, match="the sink does not answer"):
        penstock.copy(BytesSource([b"x" * 65536] * 100), sink, max_memory="16MiB", stall_timeout=0.3)
    assert sink.published is None


def test_a_sink_that_fails_at_a_byte() -> None:
    """Its own error arrives, and what came before is not published."""
    sink = MemorySink(fail_after=100_000)
    with pytest.raises(penstock.SinkError, match="the memory is full"):
        penstock.copy(BytesSource([b"x" * 65536] * 100), sink)
    assert sink.published is None
    assert len(sink.received) >= 100_000


def test_a_table_that_fails_at_a_row() -> None:
    """It holds what it held before."""
    table = MemoryTable([{"n": 0}], fail_after=3)
    with pytest.raises(penstock.SinkError, match="the table is full"):
        penstock.copy(BatchesSource(BATCH.schema, [BATCH] * 5), table)
    assert table.rows == [{"n": 0}]


def test_stalling_ends_with_its_scope() -> None:
    """Also outside of a copy."""
    scope = penstock.CancelScope()

    def wait() -> None:
        with scope:
            stall()

    waiting = start(wait)
    waiting.wait_parked()
    scope.cancel()
    waiting.result(PROMPT)
    assert scope.cancelled_caught
