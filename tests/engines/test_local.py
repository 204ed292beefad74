"""A plan runs: bytes arrive whole, an error arrives as an error, and every thread has ended."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from penstock import formats
from penstock.core.cancel import CancelScope, check_cancelled, sleep as scoped_sleep
from penstock.engines import local
from penstock.engines.chain import Chain
from penstock.engines.failures import Failures
from penstock.engines.outcome import Outcome, Snapshot
from penstock.errors import AlreadyExists, Cancelled, DeadlineExceeded, SinkError, SourceError, StallError
from penstock.flow.contracts import Sink, Source
from penstock.flow.memory import split_memory
from penstock.flow.plan import Plan, make_plan
from tests.engines.parts import BatchesSource, BytesSource, MemorySink

MIB = 1024**2
MEMORY = split_memory(16 * MIB)
CHUNK = b"0123456789abcdef" * 4096


def plan_of(source: Source, sink: Sink, target: str = "csv", compression: str | None = None, **limits: float) -> Plan:
    target_format = formats.format_by_name(target)
    return make_plan(source, sink, target_format=target_format, compression=compression, memory=MEMORY, **limits)


def run(source: Source, sink: Sink, target: str = "csv", compression: str | None = None, **limits: float) -> Outcome:
    return local.run(plan_of(source, sink, target, compression, **limits), compress=formats.compress)


@pytest.fixture(autouse=True)
def no_thread_outlives_the_run() -> Iterator[None]:
    """Whatever a test does to a run, its threads have ended when it returns."""
    before = set(threading.enumerate())
    yield
    assert [thread for thread in threading.enumerate() if thread not in before] == []


def batches(count: int, rows: int = 1000) -> tuple[pa.Schema, list[Any]]:
    schema = pa.schema([("n", pa.int64()), ("word", pa.string())])
    made = [
        pa.record_batch([pa.array(range(i * rows, (i + 1) * rows)), pa.array(["w"] * rows)], schema=schema)
        for i in range(count)
    ]
    return schema, made


# -- what goes well ------------------------------------------------------------------------------------------------


def test_bytes_pass_through_whole() -> None:
    """What the source hands out is what the sink publishes, and the outcome counts it."""
    sink, source = MemorySink(), BytesSource([CHUNK] * 64, rows=7)
    outcome = run(source, sink)
    assert sink.published == CHUNK * 64
    assert outcome.receipt is not None
    assert outcome.receipt.location == "memory:1"
    assert (outcome.rows, outcome.bytes_before_compression) == (7, 64 * len(CHUNK))
    assert outcome.leaks == ()
    assert (source.opened, source.closed) == (1, 1)


def test_batches_are_encoded_and_rows_counted() -> None:
    """Arrow batches become NDJSON, all of them, in order."""
    schema, made = batches(20)
    sink = MemorySink()
    outcome = run(BatchesSource(schema, made), sink, "ndjson")
    lines = (sink.published or b"").splitlines()
    assert outcome.rows == len(lines) == 20_000
    assert lines[0] == b'{"n":0,"word":"w"}'
    assert lines[-1] == b'{"n":19999,"word":"w"}'
    assert [stage.name for stage in outcome.stages] == ["source", "encoder", "sink"]


def test_a_result_without_rows_still_has_its_header() -> None:
    """The schema goes ahead of the batches."""
    sink = MemorySink()
    outcome = run(BatchesSource(batches(0)[0], []), sink)
    assert outcome.rows == 0
    assert sink.published == b"n,word\n"


def test_compression_is_a_stage_of_its_own() -> None:
    """What the sink gets decompresses to what the source gave."""
    sink = MemorySink()
    outcome = run(BytesSource([CHUNK] * 16), sink, compression="gzip")
    assert gzip.decompress(sink.published or b"") == CHUNK * 16
    assert outcome.bytes_before_compression == 16 * len(CHUNK)
    assert [stage.name for stage in outcome.stages] == ["source", "compressor", "sink"]


def test_an_empty_source_publishes_an_empty_destination() -> None:
    """No bytes are not an error."""
    sink = MemorySink()
    run(BytesSource([]), sink)
    assert sink.published == b""


def test_bytes_in_flight_stay_within_the_pipe() -> None:
    """While the sink does not read, the source is stopped after what one pipe holds, and one chunk."""
    taken = 0
    full = threading.Event()

    def chunks() -> Iterator[bytes]:
        nonlocal taken
        while taken < 200:
            taken += 1
            yield CHUNK
        full.set()

    seen: list[int] = []

    def on_read() -> None:
        if not seen:  # the source has written all it can when its write has waited; see who waits
            while not waiting():
                check_cancelled()
            seen.append(taken)

    def waiting() -> bool:
        return running_chain[0].stages[0].status().waits_for == "sink"

    running_chain: list[Any] = []
    sink = MemorySink(on_read=on_read)
    plan = plan_of(BytesSource(chunks()), sink)
    failures = Failures()
    running_chain.append(Chain(plan, formats.compress, failures))
    local._Run(plan, running_chain[0], failures, None, time.monotonic()).run_stages()
    assert seen[0] * len(CHUNK) <= MEMORY.pipe_bytes + len(CHUNK)
    assert full.is_set()


@pytest.mark.parametrize(("told", "total"), [((None, None), None), ((2, None), 2), ((2, 3), 5)])
def test_connections_are_counted_where_they_are_told(told: tuple[int | None, int | None], total: int | None) -> None:
    """By source and sink, if they have that attribute; nobody has to."""
    source, sink = BytesSource([CHUNK]), MemorySink()
    for end, count in zip((source, sink), told, strict=True):
        if count is not None:
            end.connections_opened = count  # type: ignore[attr-defined]
    assert run(source, sink).connections_opened == total


# -- what goes wrong -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [None, "gzip", "zstd"])
def test_a_failing_source_is_what_the_caller_gets(compression: str | None) -> None:
    """The source's own exception comes out, bare, and nothing is published."""
    cause = SourceError("integer overflow", where="sqlite:///x.db")
    source, sink = BytesSource([CHUNK] * 50 + [cause]), MemorySink()
    with pytest.raises(SourceError) as caught:
        run(source, sink, compression=compression)
    assert caught.value is cause
    assert not hasattr(cause, "__notes__")
    assert sink.published is None
    assert sink.error is not None
    assert source.closed == 1


def test_a_failing_source_of_batches_is_what_the_caller_gets() -> None:
    """The error passes through the encoder and the compressor as an error."""
    schema, made = batches(3)
    cause, sink = SourceError("connection lost"), MemorySink()
    with pytest.raises(SourceError) as caught:
        run(BatchesSource(schema, [*made, cause]), sink, "ndjson", "gzip")
    assert caught.value is cause
    assert sink.published is None


def test_a_source_that_fails_to_close_publishes_nothing() -> None:
    """The end of the data is not the end: what the source says last (a COPY's status) still counts."""

    def complain() -> None:
        raise SourceError("the server took it back")

    sink = MemorySink()
    with pytest.raises(SourceError, match="took it back"):
        run(BytesSource([CHUNK], on_close=complain), sink)
    assert sink.published is None


def test_a_failing_sink_is_what_the_caller_gets_and_stops_the_source() -> None:
    """The source is closed at once, however much it still had."""

    def endless() -> Iterator[bytes]:
        while True:
            yield CHUNK

    source = BytesSource(endless())
    with pytest.raises(SinkError, match="the memory is full"):
        run(source, MemorySink(fail_after=MIB))
    assert source.closed == 1


def test_when_cleaning_up_fails_too_both_are_told() -> None:
    """The cause comes first, what could not be cleaned is a note."""
    cause = SourceError("integer overflow")
    sink = MemorySink(fail_to_clean=SinkError("could not abort the upload"))
    with pytest.raises(SourceError) as caught:
        run(BytesSource([CHUNK, cause]), sink)
    assert caught.value is cause
    assert cause.__notes__ == ["also, in the sink: could not abort the upload"]


def test_an_unforeseen_error_is_not_wrapped() -> None:
    """A bug in a stage comes out as it is."""
    with pytest.raises(ZeroDivisionError):
        run(BytesSource([lambda: bytes(1 // 0)]), MemorySink())


@pytest.mark.parametrize("closes", [False, True])
def test_a_sink_that_stops_reading_early_has_not_published(closes: bool) -> None:
    """A receipt for a part of the data is an error, not a success; also when it has closed the stream."""
    with pytest.raises(SinkError, match="stopped reading before the end"):
        run(BytesSource([CHUNK] * 100), MemorySink(stop_after=MIB, closes=closes))


def test_a_destination_that_is_there_is_found_before_the_source_is_opened() -> None:
    """check() comes first; what it raises is what the caller gets."""
    source = BytesSource([CHUNK])
    with pytest.raises(AlreadyExists):
        run(source, MemorySink(wanted=AlreadyExists("it is there")))
    assert source.opened == 0


def test_a_destination_to_skip_is_skipped() -> None:
    """check() answers no: nothing is opened, and there is no receipt."""
    source, sink = BytesSource([CHUNK]), MemorySink(wanted=False)
    assert run(source, sink).receipt is None
    assert (source.opened, sink.published) == (0, None)


# -- time ----------------------------------------------------------------------------------------------------------


def hang() -> bytes:
    scoped_sleep(60)
    return b""


def test_a_deadline_ends_the_run() -> None:
    """DeadlineExceeded says how long was allowed; nothing is published, the source is closed."""
    source, sink = BytesSource([CHUNK, hang]), MemorySink()
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded, match="not finished within 200 ms"):
        run(source, sink, timeout=0.2)
    assert time.monotonic() - started < 5
    assert sink.published is None
    assert source.closed == 1


def test_a_deadline_tells_what_could_not_be_cleaned() -> None:
    """A clean-up that failed after the deadline is a note on it."""
    sink = MemorySink(fail_to_clean=SinkError("could not abort the upload"))
    with pytest.raises(DeadlineExceeded) as caught:
        run(BytesSource([CHUNK, hang]), sink, timeout=0.1)
    assert caught.value.__notes__ == ["also, in the sink: could not abort the upload"]


@pytest.mark.parametrize(
    ("source_hangs", "message"),
    [
        (True, "the sink waits for the source, the source does not answer"),
        (False, "the sink does not answer, the source waits for the sink"),
    ],
)
def test_a_stall_says_who_waits_on_whom(source_hangs: bool, message: str) -> None:
    """The message names the stage that does not answer; a note holds the stacks of all."""
    source = BytesSource([CHUNK, hang] if source_hangs else [CHUNK] * 1000)
    sink = MemorySink(on_read=(lambda: None) if source_hangs else hang)
    with pytest.raises(StallError) as caught:
        run(source, sink, stall_timeout=0.3)
    assert str(caught.value) == f"no byte moved for 300 ms: {message}"
    [stacks] = caught.value.__notes__
    assert "the source is at:" in stacks
    assert "the sink is at:" in stacks
    assert "in hang" in stacks
    assert sink.published is None


def test_slow_is_not_stalled() -> None:
    """A byte now and then keeps the watch quiet, however long it takes in all."""

    def a_moment() -> bytes:
        scoped_sleep(0.1)
        return b"x"

    sink = MemorySink(read_bytes=1)
    run(BytesSource([a_moment] * 8), sink, stall_timeout=0.4)
    assert sink.published == b"x" * 8


def test_a_cancel_from_outside_ends_the_run() -> None:
    """The surrounding scope is obeyed within moments and catches its own cancel."""
    source, sink = BytesSource([CHUNK, hang]), MemorySink()
    with CancelScope() as scope:
        threading.Timer(0.1, scope.cancel).start()
        run(source, sink)
    assert scope.cancelled_caught
    assert sink.published is None
    assert isinstance(sink.error, Cancelled | Exception)
    assert source.closed == 1


def test_a_cancel_after_publishing_changes_nothing() -> None:
    """What is published stays, and counts."""
    with CancelScope() as scope:
        sink = MemorySink()
        published = sink.store

        def store_then_cancel(stream: Any) -> Any:
            receipt = published(stream)
            scope.cancel()
            return receipt

        sink.store = store_then_cancel  # type: ignore[method-assign]
        outcome = run(BytesSource([CHUNK]), sink)
        assert outcome.receipt is not None
    assert not scope.cancelled_caught


# -- watching ------------------------------------------------------------------------------------------------------


def test_an_observer_sees_the_run() -> None:
    """Snapshots say how far it is and who waits; they come in the calling thread."""
    seen: list[Snapshot] = []
    observing = threading.Event()

    def observe(snapshot: Snapshot) -> None:
        seen.append(snapshot)
        assert threading.current_thread() is threading.main_thread()
        observing.set()

    def until_observed() -> bytes:
        observing.wait(10)
        return b"y"

    sink = MemorySink(read_bytes=1)
    plan = plan_of(BytesSource([b"x", until_observed], rows=2), sink)
    local.run(plan, compress=formats.compress, observe=observe)
    assert seen[0].bytes == 1
    assert seen[0].rows == 2
    assert [stage.waits_for for stage in seen[0].stages] == [None, "source"]
    assert seen[0].resident_bytes is None or seen[0].resident_bytes > MIB


def test_an_observer_that_fails_is_not_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    """A broken display is switched off with a warning; the copy goes on."""
    asked = 0

    def observe(snapshot: Snapshot) -> None:
        nonlocal asked
        asked += 1
        raise OSError("the terminal is gone")

    sink = MemorySink()
    plan = plan_of(BytesSource([lambda: (scoped_sleep(0.5), CHUNK)[1]]), sink)
    local.run(plan, compress=formats.compress, observe=observe)
    assert asked == 1
    assert sink.published == CHUNK
    assert "switched off" in caplog.text
