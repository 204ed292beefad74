"""A sink is held to so many bytes per second."""

from __future__ import annotations

import io
import time
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pytest

from penstock import formats
from penstock.core.cancel import CancelScope
from penstock.core.pipe import pipe
from penstock.engines import local
from penstock.engines.outcome import Outcome
from penstock.engines.rate import LimitedBatches, LimitedReader, RateLimit
from penstock.errors import Cancelled, DeadlineExceeded
from penstock.flow.contracts import Sink, Source, TableSink
from penstock.flow.memory import split_memory
from penstock.flow.plan import make_plan
from tests.engines.parts import BatchesSource, BytesSource, MemorySink, MemoryTable

MEMORY = split_memory(16 * 1024**2)
SCHEMA = pa.schema([("n", pa.int64())])


def run(source: Source, sink: Sink | TableSink, *, bwlimit: float, **limits: float) -> Outcome:
    target = None if isinstance(sink, TableSink) else formats.format_by_name("csv")
    plan = make_plan(source, sink, target_format=target, compression=None, memory=MEMORY, bwlimit=bwlimit, **limits)
    return local.run(plan, compress=formats.compress)


def limited(data: bytes, bytes_per_second: float) -> LimitedReader:
    return LimitedReader(io.BytesIO(data), RateLimit(bytes_per_second))


def test_a_limited_stream_is_the_same_stream() -> None:
    """Every byte, in order; reads fill, and the end is the end."""
    data = bytes(range(256)) * 40
    assert limited(data, 1e9).read() == data
    stream = limited(data, 100_000)
    assert [stream.read(6000), stream.read(6000), stream.read(6000)] == [data[:6000], data[6000:], b""]
    assert stream.read(0) == b""


def test_it_takes_as_long_as_the_limit_says() -> None:
    """What comes after the first slice has to wait; how long in all follows from the bytes."""
    stream = limited(b"x" * 30_000, 100_000)
    began = time.monotonic()
    assert len(stream.read()) == 30_000
    assert time.monotonic() - began >= 0.3 - 0.1 - 0.05  # less the burst, and the last slice, after which nothing waits


def test_a_cancelled_wait_has_taken_nothing() -> None:
    """A sink that is interrupted while it waits for data (HTTP, to look for an answer) misses none."""
    with pipe(1000) as (reader, writer):
        writer.write(b"abc")
        limit = RateLimit(1)
        limit.spend(100)
        stream = LimitedReader(cast(BinaryIO, reader), limit)
        scope = CancelScope(timeout=0.02)
        with scope:
            stream.read1(10)
        assert scope.cancelled_caught
        limit._account.due = 0.0
        assert stream.read1(10) == b"a"
        writer.close()
        assert reader.read() == b"bc"


def test_a_limited_copy_says_that_the_limit_held_it_back() -> None:
    """The verdict names it; waiting for it is no work of the sink."""
    sink = MemorySink()
    outcome = run(BytesSource([b"x" * 1000] * 40), sink, bwlimit=100_000)
    assert sink.published == b"x" * 40_000
    assert outcome.verdict.startswith("the sink waited on the bandwidth limit ")
    status = outcome.stages[-1]
    assert status.held_back_seconds > 0.1
    assert status.busy_seconds < status.held_back_seconds


def test_a_table_is_held_to_its_arrow_bytes() -> None:
    """Between batches; these are too large to be joined on the way."""
    batch = pa.record_batch([pa.array(range(20_000), pa.int64())], schema=SCHEMA)
    table = MemoryTable()
    outcome = run(BatchesSource(SCHEMA, [batch] * 4), table, bwlimit=1_600_000)
    assert len(table.rows) == 80_000
    assert outcome.stages[-1].held_back_seconds > 0.1


def test_being_held_back_is_no_stall() -> None:
    """However long it takes until the next byte may pass."""
    batch = pa.record_batch([pa.array(range(5000), pa.int64())], schema=SCHEMA)
    table = MemoryTable()
    run(BatchesSource(SCHEMA, [batch] * 2), table, bwlimit=80_000, stall_timeout=0.15)
    assert len(table.rows) == 10_000


@pytest.mark.parametrize("table", [False, True])
def test_a_deadline_ends_the_wait(table: bool) -> None:
    """At once, and nothing is published."""
    batch = pa.record_batch([pa.array(range(5000), pa.int64())], schema=SCHEMA)
    sink: Any = MemoryTable() if table else MemorySink()
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded, match="bandwidth limit"):
        run(BatchesSource(SCHEMA, [batch] * 9), sink, bwlimit=10, timeout=0.2)
    assert time.monotonic() - began < 5
    assert sink.rows == [] if table else sink.published is None
    assert isinstance(sink.error, Cancelled)


def test_limited_batches_keep_their_schema() -> None:
    """A result without rows still has columns."""
    assert LimitedBatches(BatchesSource(SCHEMA, []), RateLimit(1)).schema == SCHEMA
