"""A copy into several files: all of them and a manifest, or nothing."""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest

from penstock import formats
from penstock.core.cancel import CancelScope, sleep as scoped_sleep
from penstock.engines import local
from penstock.engines.outcome import Outcome, Snapshot
from penstock.engines.parts.files import PartFiles
from penstock.engines.parts.sink import SplitSink
from penstock.errors import AlreadyExists, DeadlineExceeded, SinkError, SourceError, StallError
from penstock.flow.manifest import Manifest
from penstock.flow.memory import split_memory
from penstock.flow.part_names import PartNames
from penstock.flow.parts import PartsSink
from penstock.flow.plan import make_plan
from tests.engines.parts import BatchesSource, MemoryFolder

KIB = 1024
MEMORY = split_memory(16 * KIB**2)
SCHEMA = pa.schema([("n", pa.int64()), ("word", pa.string())])


def batches(count: int, rows: int = 2000) -> list[Any]:
    """Batches of numbers and words; each word another, so that compression has something to do."""
    return [
        pa.record_batch(
            [
                pa.array(range(first, first + rows)),
                pa.array([hashlib.md5(b"%d" % n).hexdigest() for n in range(first, first + rows)]),
            ],
            schema=SCHEMA,
        )
        for first in range(0, count * rows, rows)
    ]


def run(
    folder: MemoryFolder,
    source: BatchesSource,
    *,
    name: str = "o.csv",
    max_bytes: int = 64 * KIB,
    if_exists: Any = "fail",
    compression: str | None = None,
    observe: Callable[[Snapshot], None] | None = None,
    **limits: float,
) -> Outcome:
    names = PartNames.of(name, suffixes=1 if compression is None else 2)
    files = PartFiles(names, folder.open, folder.read, if_exists, format_name="csv", compression=compression)
    sink = SplitSink(files, max_part_bytes=max_bytes)
    assert isinstance(sink, PartsSink)
    plan = make_plan(
        source, sink, target_format=formats.format_by_name("csv"), compression=compression, memory=MEMORY, **limits
    )
    assert not plan.passes_through
    return local.run(plan, compress=formats.compress, observe=observe)


def manifest_of(folder: MemoryFolder) -> Manifest:
    return Manifest.from_json(folder.files["o.manifest.json"])


def rows_of(folder: MemoryFolder, read: Callable[[bytes], bytes] = bytes) -> list[int]:
    """The numbers in all parts, in the order of the manifest; each part must have a header of its own."""
    found: list[int] = []
    for part in manifest_of(folder).parts:
        header, *lines = read(folder.files[part.name]).splitlines()
        assert header == b"n,word"
        assert len(lines) == part.rows
        found += [int(line.partition(b",")[0]) for line in lines]
    return found


# -- what goes well ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_every_part_is_complete_and_the_manifest_comes_last(compression: str | None) -> None:
    """Each part has its header and is within the size; size, rows and hash are in the manifest."""
    folder = MemoryFolder()
    name = "o.csv" if compression is None else "o.csv.gz"
    outcome = run(folder, BatchesSource(SCHEMA, batches(20)), name=name, compression=compression, max_bytes=256 * KIB)
    manifest = manifest_of(folder)
    assert rows_of(folder, bytes if compression is None else gzip.decompress) == list(range(40_000))
    assert len(manifest.parts) > 2
    for number, part in enumerate(manifest.parts, start=1):
        data = folder.files[part.name]
        assert part.name == name.replace("o.", f"o.{number:05}.")
        assert part.bytes == len(data) <= 256 * KIB
        assert part.sha256 == hashlib.sha256(data).hexdigest()
    assert manifest.columns == [("n", "int64"), ("word", "string")]
    assert (manifest.format, manifest.compression) == ("csv", compression)
    assert folder.order == [*(part.name for part in manifest.parts), "o.manifest.json"]
    assert outcome.receipt is not None
    assert outcome.receipt.location == "o.manifest.json"
    assert outcome.receipt.bytes_stored == manifest.bytes_stored
    assert outcome.receipt.details == {"parts": len(manifest.parts), "rows": 40_000}
    assert (outcome.rows, outcome.leaks) == (40_000, ())


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_the_same_data_is_cut_in_the_same_places(compression: str) -> None:
    """Whichever thread was faster."""
    cuts = []
    for _ in range(3):
        folder = MemoryFolder()
        run(folder, BatchesSource(SCHEMA, batches(10)), name="o.csv.x", compression=compression)
        cuts.append(manifest_of(folder).parts)
    assert cuts[0] == cuts[1] == cuts[2]


def test_no_rows_are_one_part_with_a_header() -> None:
    """So that whoever reads the parts finds the columns."""
    folder = MemoryFolder()
    run(folder, BatchesSource(SCHEMA, []))
    assert folder.files["o.00001.csv"] == b"n,word\n"
    assert [(part.name, part.rows) for part in manifest_of(folder).parts] == [("o.00001.csv", 0)]


def test_the_stages_are_those_of_any_copy() -> None:
    """Who waited on whom is told as always."""
    outcome = run(MemoryFolder(), BatchesSource(SCHEMA, batches(3)), name="o.csv.gz", compression="gzip")
    assert [stage.name for stage in outcome.stages] == ["source", "encoder", "compressor", "sink"]
    assert outcome.bytes_before_compression > 0


# -- what is there already -------------------------------------------------------------------------------------------


def test_a_manifest_that_is_there_decides() -> None:
    """Fail before anything is read, or skip."""
    folder = MemoryFolder({"o.manifest.json": b"{}"})
    source = BatchesSource(SCHEMA, [SourceError("nobody should read this")])
    with pytest.raises(AlreadyExists):
        run(folder, source)
    assert run(folder, source, if_exists="skip").receipt is None


@pytest.mark.parametrize("if_exists", ["fail", "skip"])
def test_a_part_without_a_manifest_is_not_written_over(if_exists: str) -> None:
    """It may be left of a copy that was killed; it is no reason to skip, either."""
    folder = MemoryFolder({"o.00001.csv": b"old"})
    with pytest.raises(AlreadyExists, match="a part exists already, but no manifest"):
        run(folder, BatchesSource(SCHEMA, []), if_exists=if_exists)


def test_overwriting_replaces_the_parts_with_the_manifest() -> None:
    """New parts get names that the old ones have not, and the old ones go once the new manifest is there."""
    folder = MemoryFolder()
    run(folder, BatchesSource(SCHEMA, batches(2)))
    old = {part.name for part in manifest_of(folder).parts}
    kept: list[bool] = []
    folder.on_store = lambda name: kept.append(old <= folder.files.keys())
    run(folder, BatchesSource(SCHEMA, batches(4)), if_exists="overwrite")
    new = {part.name for part in manifest_of(folder).parts}
    assert all(kept)
    assert not old & new
    assert folder.files.keys() == {*new, "o.manifest.json"}
    assert rows_of(folder) == list(range(8000))


def test_a_failed_overwriting_changes_nothing() -> None:
    """Old manifest and old parts are what they were."""
    folder = MemoryFolder()
    run(folder, BatchesSource(SCHEMA, batches(2)))
    before = dict(folder.files)
    with pytest.raises(SourceError):
        run(folder, BatchesSource(SCHEMA, [*batches(4), SourceError("lost")]), if_exists="overwrite")
    assert folder.files == before


def test_overwriting_what_is_no_manifest_is_refused() -> None:
    """Nobody knows which files belong to it."""
    folder = MemoryFolder({"o.manifest.json": b"something else"})
    with pytest.raises(SinkError, match="can not be read"):
        run(folder, BatchesSource(SCHEMA, []), if_exists="overwrite")
    assert folder.files == {"o.manifest.json": b"something else"}


# -- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_a_failing_source_leaves_nothing(compression: str | None) -> None:
    """Parts that were published are removed; the error is the source's own, bare."""
    folder, cause = MemoryFolder(), SourceError("connection lost")
    with pytest.raises(SourceError) as caught:
        run(folder, BatchesSource(SCHEMA, [*batches(10), cause]), name="o.csv.gz", compression=compression)
    assert caught.value is cause
    assert folder.order
    assert folder.files == {}
    assert not hasattr(cause, "__notes__")


@pytest.mark.parametrize("name", ["o.00001.csv", "o.00004.csv", "o.manifest.json"])
def test_a_failing_sink_leaves_nothing(name: str) -> None:
    """Be it the first part, one in the middle or the manifest."""
    folder = MemoryFolder(fail_at=name)
    with pytest.raises(SinkError, match="the folder is full"):
        run(folder, BatchesSource(SCHEMA, batches(10)))
    assert folder.files == {}


def test_a_part_that_appears_meanwhile_is_not_touched() -> None:
    """It is somebody else's: it is neither replaced nor removed."""
    folder = MemoryFolder()

    def somebody(name: str) -> None:
        if name == "o.00002.csv":
            folder.files["o.00003.csv"] = b"theirs"

    folder.on_store = somebody
    with pytest.raises(AlreadyExists):
        run(folder, BatchesSource(SCHEMA, batches(10)))
    assert folder.files == {"o.00003.csv": b"theirs"}


def test_a_part_that_can_not_be_removed_is_told() -> None:
    """As a note on the error, which stays what it was; the others are removed all the same."""
    folder, cause = MemoryFolder(stuck=["o.00002.csv"]), SourceError("connection lost")
    with pytest.raises(SourceError) as caught:
        run(folder, BatchesSource(SCHEMA, [*batches(10), cause]))
    assert folder.files.keys() == {"o.00002.csv"}
    [note] = caught.value.__notes__  # which says "in the sink" where that was stopped rather than told of the error
    assert note.endswith("a part could not be removed: o.00002.csv: it does not go away")


def endless() -> Iterator[Any]:
    while True:
        yield from batches(1)


def test_a_cancel_leaves_nothing() -> None:
    """Whenever it comes: here when some parts are published."""
    folder = MemoryFolder()
    with CancelScope() as scope:
        folder.on_store = lambda name: scope.cancel() if name == "o.00003.csv" else None
        run(folder, BatchesSource(SCHEMA, endless()))
    assert scope.cancelled_caught
    assert len(folder.order) >= 2
    assert folder.files == {}


def test_a_deadline_leaves_nothing() -> None:
    """Nor does it take longer for the parts that are there."""
    folder = MemoryFolder()

    def hang(name: str) -> None:
        if name == "o.00003.csv":
            scoped_sleep(60)

    folder.on_store = hang
    with pytest.raises(DeadlineExceeded):
        run(folder, BatchesSource(SCHEMA, endless()), timeout=0.5)
    assert folder.files == {}


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_a_stall_between_two_parts_is_noticed(compression: str | None) -> None:
    """The sink is named, also when the encoder waits for the compressor to know where to cut."""
    folder = MemoryFolder()

    def hang(name: str) -> None:
        if ".00002." in name:
            scoped_sleep(60)

    folder.on_store = hang
    with pytest.raises(StallError, match="the sink does not answer"):
        run(folder, BatchesSource(SCHEMA, endless()), name="o.csv.gz", compression=compression, stall_timeout=0.3)
    assert folder.files == {}


def test_a_failing_compressor_ends_a_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The encoder, which wants to know where to cut, is not left waiting."""

    def broken(stream: Any, out: Any, name: str) -> int:
        stream.read(100)
        raise ZeroDivisionError("a bug in the compressor")

    monkeypatch.setattr(formats, "compress", broken)
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        run(MemoryFolder(), BatchesSource(SCHEMA, endless()), name="o.csv.gz", compression="gzip")
    assert threading.active_count() == before
