"""A copy in partitions: a chain of stages for each, and all of their parts or none."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pytest

from penstock import formats
from penstock.core.cancel import CancelScope, sleep as scoped_sleep
from penstock.engines import local, registry
from penstock.engines.outcome import Observer, Outcome, Snapshot
from penstock.engines.partitions.merged import merged
from penstock.engines.parts.files import PartFiles
from penstock.engines.rate import RateLimit
from penstock.engines.stages import StageStatus
from penstock.errors import AlreadyExists, ConfigurationError, DeadlineExceeded, SinkError, SourceError, StallError
from penstock.flow.contracts import BatchStream
from penstock.flow.manifest import Manifest
from penstock.flow.memory import split_memory
from penstock.flow.part_names import PartNames
from penstock.flow.partitions import Partition, PartitionableSource, Partitions, PartitionsSink
from penstock.flow.plan import Plan, make_plan
from tests.engines.parts import BatchesSource, MemoryFolder

MEMORY = split_memory(16 << 20)
SCHEMA = pa.schema([("n", pa.int64())])


def batch(first: int, rows: int = 1000) -> Any:
    return pa.record_batch([pa.array(range(first, first + rows))], schema=SCHEMA)


class WaitingSource(BatchesSource):
    """Gives its batches, and then waits until it is cancelled."""

    @contextmanager
    def open_batches(self) -> Iterator[BatchStream]:
        with super().open_batches() as stream:
            yield stream
            scoped_sleep(600)


class DividedSource(BatchesSource):
    """A source that was divided beforehand.

    Attributes:
        events: ``"opened"`` and ``"closed"``, as what the partitions have in common was.
    """

    def __init__(self, *parts: BatchesSource) -> None:
        super().__init__(SCHEMA, [])
        self.display_name = "divided"
        self.events: list[str] = []
        self._parts = parts

    @contextmanager
    def partitioned(self, most: int, by: str | None) -> Iterator[Partitions]:
        assert by is None
        each = [Partition(source, f"range {number}") for number, source in enumerate(self._parts[:most], start=1)]
        self.events.append("opened")
        try:
            yield Partitions(SCHEMA, "one snapshot", tuple(each))
        finally:
            self.events.append("closed")


def sources(count: int, batches: int = 3) -> list[BatchesSource]:
    """Each has so many batches of numbers of its own."""
    return [
        BatchesSource(SCHEMA, [batch((number * batches + index) * 1000) for index in range(batches)])
        for number in range(count)
    ]


def plan_of(
    folder: MemoryFolder, *parts: BatchesSource, if_exists: Any = "fail", compression: str | None = None, **limits: Any
) -> Plan:
    name = "o.csv" if compression is None else "o.csv.gz"
    names = PartNames.of(name, suffixes=name.count("."))
    sink = PartFiles(names, folder.open, folder.read, if_exists, "csv", compression)
    assert isinstance(sink, PartitionsSink)
    source = DividedSource(*parts)
    assert isinstance(source, PartitionableSource)
    target = formats.format_by_name("csv")
    return make_plan(
        source, sink, target_format=target, compression=compression, memory=MEMORY, partitions=len(parts) or 2, **limits
    )


def run(folder: MemoryFolder, *parts: BatchesSource, observe: Observer | None = None, **options: Any) -> Outcome:
    plan = plan_of(folder, *parts, **options)
    try:
        return local.run(plan, compress=formats.compress, observe=observe)
    finally:
        assert isinstance(plan.source, DividedSource)
        assert plan.source.events in ([], ["opened", "closed"])


def manifest_of(folder: MemoryFolder) -> Manifest:
    return Manifest.from_json(folder.files["o.manifest.json"])


# --- what goes well -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [None, "gzip"])
@pytest.mark.parametrize("count", [2, 5])
def test_every_partition_is_a_part_in_its_place(count: int, compression: str | None) -> None:
    """Whichever was done first; the manifest comes last."""
    folder = MemoryFolder()
    outcome = run(folder, *sources(count), compression=compression)
    found: list[int] = []
    for number, part in enumerate(manifest_of(folder).parts, start=1):
        assert part.name == f"o.{number:05}.csv" + ("" if compression is None else ".gz")
        data = folder.files[part.name]
        header, *lines = (data if compression is None else gzip.decompress(data)).splitlines()
        assert header == b"n"
        assert len(lines) == part.rows == 3000
        found += map(int, lines)
    assert found == list(range(count * 3000))
    assert folder.order[-1] == "o.manifest.json"
    assert outcome.receipt is not None
    assert outcome.receipt.details == {
        "parts": count,
        "rows": count * 3000,
        "partitions": count,
        "ranges": [f"range {number}" for number in range(1, count + 1)],
    }
    assert outcome.rows == count * 3000
    assert outcome.bytes_before_compression >= outcome.receipt.bytes_stored > 0
    assert outcome.leaks == ()


def test_the_last_part_may_be_stored_first() -> None:
    """Its number is that of its range."""
    folder = MemoryFolder(on_store=lambda name: wait_for(folder, name))
    run(folder, *sources(2))
    assert folder.order == ["o.00002.csv", "o.00001.csv", "o.manifest.json"]
    assert [part.name for part in manifest_of(folder).parts] == ["o.00001.csv", "o.00002.csv"]


def wait_for(folder: MemoryFolder, name: str) -> None:
    """Hold the first part back until the second is there."""
    while name == "o.00001.csv" and "o.00002.csv" not in folder.files:
        scoped_sleep(0.001)


# --- what goes wrong ----------------------------------------------------------------------------------------------------


def test_a_failing_partition_stops_the_others() -> None:
    """One that would wait for ever among them; its own error comes out, and no part stays."""
    folder, cause = MemoryFolder(), SourceError("integer overflow")
    done, failing = sources(1)[0], BatchesSource(SCHEMA, [batch(0), cause])
    with pytest.raises(SourceError) as caught:
        run(folder, done, failing, WaitingSource(SCHEMA, [batch(0)]))
    assert caught.value is cause
    assert folder.files == {}


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_part_that_can_not_be_stored(number: int) -> None:
    """Takes the others with it."""
    folder = MemoryFolder(fail_at=f"o.{number:05}.csv")
    with pytest.raises(SinkError, match="the folder is full"):
        run(folder, *sources(3))
    assert folder.files == {}


def test_a_manifest_that_can_not_be_stored() -> None:
    """All parts were there; they go."""
    folder = MemoryFolder(fail_at="o.manifest.json")
    with pytest.raises(SinkError, match="the folder is full"):
        run(folder, *sources(3))
    assert folder.files == {}


def test_a_part_that_does_not_go_away_is_told() -> None:
    """As a note on the error that made it go."""
    folder = MemoryFolder(fail_at="o.manifest.json", stuck=["o.00002.csv"])
    with pytest.raises(SinkError) as caught:
        run(folder, *sources(3))
    assert caught.value.__notes__ == [
        "also, in the sink: a part could not be removed: o.00002.csv: it does not go away"
    ]
    assert folder.files.keys() == {"o.00002.csv"}


def test_what_fails_besides_says_in_which_partition() -> None:
    """A second failure, while the first is being dealt with, is a note."""

    class FailsAtTheEnd(BatchesSource):
        @contextmanager
        def open_batches(self) -> Iterator[BatchStream]:
            with super().open_batches() as stream:
                try:
                    yield stream
                    scoped_sleep(600)
                finally:
                    raise SourceError("it could not be closed")

    with pytest.raises(SourceError, match="integer overflow") as caught:
        run(MemoryFolder(), BatchesSource(SCHEMA, [SourceError("integer overflow")]), FailsAtTheEnd(SCHEMA, []))
    assert caught.value.__notes__ == ["also, in the source of partition 2: it could not be closed"]


def test_nothing_is_divided_where_nothing_may_be_written() -> None:
    """The destination is looked at first."""
    with pytest.raises(AlreadyExists):
        run(MemoryFolder({"o.manifest.json": b"{}"}), *sources(2))
    assert run(MemoryFolder({"o.manifest.json": b"{}"}), *sources(2), if_exists="skip").receipt is None


def test_an_old_manifest_that_can_not_be_read() -> None:
    """Before anything is stored."""
    folder = MemoryFolder({"o.manifest.json": b"{}"})
    with pytest.raises(SinkError, match="the manifest that is there can not be read"):
        run(folder, *sources(2), if_exists="overwrite")
    assert folder.files == {"o.manifest.json": b"{}"}


@pytest.mark.parametrize(("limit", "error"), [("timeout", DeadlineExceeded), ("stall_timeout", StallError)])
def test_a_deadline_ends_all_of_them(limit: str, error: type[Exception]) -> None:
    """The message says who waits on whom; parts that were there go."""
    folder = MemoryFolder()
    with pytest.raises(error, match="source"):
        run(folder, *sources(1), WaitingSource(SCHEMA, [batch(0)]), **{limit: 0.3})
    assert set(folder.order) <= {"o.00001.csv"}
    assert folder.files == {}


def test_a_stall_has_the_stack_of_every_stage() -> None:
    """Each with the number of its partition."""
    with pytest.raises(StallError) as caught:
        run(MemoryFolder(), *(WaitingSource(SCHEMA, []) for _ in range(2)), stall_timeout=0.2)
    stacks = caught.value.__notes__[0]
    for number in (1, 2):
        assert f"the source of partition {number} is at:" in stacks


@pytest.mark.parametrize("how", ["cancel", "Ctrl-C"])
def test_being_stopped_half_way(how: str) -> None:
    """By the scope around it, or by Ctrl-C: every thread has ended, and the part that was there is gone."""
    folder = MemoryFolder()
    scope = CancelScope()

    def stop(_snapshot: Snapshot) -> None:
        if folder.order and how == "cancel":
            scope.cancel()
        elif folder.order:
            raise KeyboardInterrupt

    try:
        with scope:
            run(folder, *sources(1), WaitingSource(SCHEMA, [batch(0)]), observe=stop)
    except KeyboardInterrupt:
        assert how == "Ctrl-C"
    assert scope.cancelled_caught == (how == "cancel")
    assert folder.order == ["o.00001.csv"]
    assert folder.files == {}


# --- looking at it ------------------------------------------------------------------------------------------------------


def test_statuses_of_the_same_stage_are_added_up() -> None:
    """What all running ones wait for is told; where they wait for different ones, nothing is."""
    first = StageStatus("sink", 1.0, 0.5, 0.0, running=True, waits_for="source", held_back_seconds=0.25)
    second = StageStatus("sink", 3.0, 1.0, 0.0, running=True, waits_for="source")
    ended = StageStatus("sink", 1.0, 0.0, 0.0, running=False, waits_for=None)
    busy = StageStatus("sink", 1.0, 0.0, 0.0, running=True, waits_for=None)
    assert merged([(first,), (second,), (ended,)]) == (
        StageStatus("sink", 5.0, 1.5, 0.0, running=True, waits_for="source", held_back_seconds=0.25),
    )
    assert merged([(first,), (busy,)])[0].waits_for is None
    assert not merged([(ended,), (ended,)])[0].running


def test_a_limit_is_for_all_together() -> None:
    """Two that share it spend of the same."""
    limit = RateLimit(1_000_000)
    first, second = limit.shared(), limit.shared()
    first.wait()
    first.spend(200_000)
    started = time.monotonic()
    second.wait()
    assert time.monotonic() - started > 0.05
    assert second.waiting.seconds > 0.05
    assert first.waiting.seconds == 0


def test_engines_have_names() -> None:
    """One there is; of others it says so."""
    assert registry.engine_named("local") is local  # type: ignore[comparison-overlap]  # a module is what it looks like
    with pytest.raises(ConfigurationError, match=r"^unknown engine 'dask': there is 'local', whose partitions are"):
        registry.engine_named("dask")
