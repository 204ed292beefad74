"""A table as the destination: loaded or nothing, whatever ends the copy."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from penstock import formats
from penstock.core.cancel import CancelScope, sleep as scoped_sleep
from penstock.engines import local
from penstock.engines.outcome import Outcome
from penstock.errors import AlreadyExists, Cancelled, DeadlineExceeded, SinkError, SourceError, StallError
from penstock.flow.contracts import BatchStream, Receipt, TableSink
from penstock.flow.memory import split_memory
from penstock.flow.plan import make_plan
from tests.engines.parts import BatchesSource, MemoryTable

SCHEMA = pa.schema([("n", pa.int64())])
OLD = {"n": -1}


def batches(count: int) -> list[Any]:
    return [pa.record_batch([pa.array([i, i])], schema=SCHEMA) for i in range(count)]


def large_batches(count: int) -> list[Any]:
    """Too large to be joined on the way."""
    return [pa.record_batch([pa.array([i] * 20_000)], schema=SCHEMA) for i in range(count)]


def endless() -> Iterator[Any]:
    while True:
        yield from batches(1)


def hang(_batch: Any = None) -> None:
    scoped_sleep(60)


def run(source: BatchesSource, table: TableSink, **limits: float) -> Outcome:
    plan = make_plan(source, table, target_format=None, compression=None, memory=split_memory(16 * 1024**2), **limits)
    assert plan.stages == ("source", "sink")
    return local.run(plan, compress=formats.compress)


@pytest.fixture(autouse=True)
def no_thread_outlives_the_run() -> Iterator[None]:
    """Whatever a test does to a run, its threads have ended when it returns."""
    before = set(threading.enumerate())
    yield
    assert [thread for thread in threading.enumerate() if thread not in before] == []


def test_batches_arrive_as_they_are() -> None:
    """No encoder in between; rows are counted, and bytes are those of Arrow."""
    table = MemoryTable([OLD])
    outcome = run(BatchesSource(SCHEMA, batches(3)), table)
    assert [row["n"] for row in table.rows] == [-1, 0, 0, 1, 1, 2, 2]
    assert outcome.rows == 6
    assert outcome.receipt == Receipt("memory table", 48, {"rows": 6})
    assert outcome.bytes_before_compression == 48
    assert outcome.leaks == ()


def test_a_failing_source_is_rolled_back() -> None:
    """Its own error comes out, bare."""
    table, cause = MemoryTable([OLD]), SourceError("connection lost")
    with pytest.raises(SourceError) as caught:
        run(BatchesSource(SCHEMA, [*large_batches(3), cause]), table)
    assert caught.value is cause
    assert not hasattr(cause, "__notes__")
    assert table.rows == [OLD]
    assert table.error is not None


def test_a_failing_table_stops_the_source() -> None:
    """However much it still had."""
    table = MemoryTable([OLD], fail_after=10)
    with pytest.raises(SinkError, match="the table is full"):
        run(BatchesSource(SCHEMA, endless()), table)
    assert table.rows == [OLD]


def test_a_rollback_that_fails_is_told_besides() -> None:
    """The cause comes first."""
    cause = SourceError("connection lost")
    table = MemoryTable(fail_to_roll_back=SinkError("could not roll back"))
    with pytest.raises(SourceError) as caught:
        run(BatchesSource(SCHEMA, [*large_batches(3), cause]), table)
    assert caught.value is cause
    assert cause.__notes__ == ["also, in the sink: could not roll back"]


def test_a_load_that_stops_early_is_no_success() -> None:
    """A receipt for some of the rows is an error."""

    class Lazy(MemoryTable):
        def load(self, batches: BatchStream) -> Receipt:
            next(iter(batches))
            return Receipt("memory table", 1)

    with pytest.raises(SinkError, match="stopped reading before the end"):
        run(BatchesSource(SCHEMA, large_batches(5)), Lazy())


def test_a_table_that_is_there_is_found_before_the_source_is_read() -> None:
    """Or makes the copy a skipped one."""
    source = BatchesSource(SCHEMA, [SourceError("nobody should read this")])
    with pytest.raises(AlreadyExists):
        run(source, MemoryTable(wanted=AlreadyExists("it is there")))
    assert run(source, MemoryTable(wanted=False)).receipt is None


@pytest.mark.parametrize("source_hangs", [True, False])
def test_a_deadline_rolls_back(source_hangs: bool) -> None:
    """Whoever is the slow one; soon."""
    table = MemoryTable([OLD], on_batch=(lambda batch: None) if source_hangs else hang)
    source = BatchesSource(SCHEMA, then_hanging() if source_hangs else endless())
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded, match="not finished within 200 ms"):
        run(source, table, timeout=0.2)
    assert time.monotonic() - began < 5
    assert table.rows == [OLD]
    assert isinstance(table.error, Cancelled)


def then_hanging() -> Iterator[Any]:
    yield from batches(2)
    hang()


@pytest.mark.parametrize(
    ("source_hangs", "message"),
    [
        (True, "the sink waits for the source, the source does not answer"),
        (False, "the sink does not answer, the source waits for the sink"),
    ],
)
def test_a_stall_says_who_waits_on_whom(source_hangs: bool, message: str) -> None:
    """With a rendezvous of batches in between as with a pipe."""
    table = MemoryTable([OLD], on_batch=(lambda batch: None) if source_hangs else hang)
    with pytest.raises(StallError) as caught:
        run(BatchesSource(SCHEMA, then_hanging() if source_hangs else endless()), table, stall_timeout=0.3)
    assert str(caught.value) == f"no byte moved for 300 ms: {message}"
    assert table.rows == [OLD]


def test_a_cancel_rolls_back() -> None:
    """The surrounding scope catches its own."""
    table = MemoryTable([OLD])
    with CancelScope() as scope:
        table._on_batch = lambda batch: scope.cancel()
        run(BatchesSource(SCHEMA, endless()), table)
    assert scope.cancelled_caught
    assert table.rows == [OLD]


def test_a_cancel_after_the_commit_changes_nothing() -> None:
    """What is loaded stays, and counts."""

    class Committing(MemoryTable):
        def load(self, batches: BatchStream) -> Receipt:
            receipt = super().load(batches)
            scope.cancel()
            return receipt

    with CancelScope() as scope:
        table = Committing()
        assert run(BatchesSource(SCHEMA, batches(2)), table).receipt is not None
    assert not scope.cancelled_caught
    assert len(table.rows) == 4
