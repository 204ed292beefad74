"""Files: read whole or an error, written whole or not at all."""

from __future__ import annotations

import errno
import gzip
import os
import resource
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock import formats
from penstock.core.pipe import pipe
from penstock.errors import AlreadyExists, BrokenError, SinkError, SourceError
from tests.connectors.parts import (
    Cancellable,
    Fails,
    Stream,
    cancelled_at_once,
    data_stream,
    open_descriptors,
    read_bytes,
    read_rows,
    reading,
    silent_stream,
    sink_of,
    source_of,
)
from tests.core.threads import start
from tests.formats.streams import Collected

DATA = b"a,b\n1,x\n2,y\n"


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names() -> list[str]:
    return sorted(entry.name for entry in Path().iterdir())


# --- reading ---


@pytest.mark.parametrize(
    "uri", ["x.csv", "./x.csv", "file://{cwd}/x.csv", "file://localhost{cwd}/x.csv", "{cwd}/x.csv"]
)
def test_a_file_is_read_by_path_and_address(uri: str) -> None:
    """Bytes pass as they are; batches are decoded."""
    Path("x.csv").write_bytes(DATA)
    address = uri.format(cwd=Path.cwd())
    assert read_bytes(source_of(address)) == DATA
    source = source_of(address)
    assert read_rows(source) == [{"a": "1", "b": "x"}, {"a": "2", "b": "y"}]
    assert source.rows_read == 2


def test_a_file_address_is_percent_decoded() -> None:
    """file:// is a URI, a path is not."""
    Path("a b%20.csv").write_bytes(DATA)
    assert read_bytes(source_of(f"file://{Path.cwd()}/a%20b%2520.csv")) == DATA
    assert read_bytes(source_of("a b%20.csv")) == DATA


@pytest.mark.parametrize("compression", formats.compression_names())
def test_compressed_files_are_decompressed(compression: str) -> None:
    """By suffix, or by option where the name says nothing or the wrong thing."""
    packed = Collected()
    formats.compress(data_stream(DATA), packed, compression)
    suffix = {"gzip": "gz", "zstd": "zst"}[compression]
    Path(f"x.csv.{suffix}").write_bytes(packed)
    Path("x").write_bytes(packed)
    assert read_bytes(source_of(f"x.csv.{suffix}")) == DATA
    assert read_bytes(source_of("x", format="csv", compression=compression)) == DATA
    assert read_bytes(source_of(f"x.csv.{suffix}", compression="none")) == bytes(packed)


def test_a_cut_off_file_is_an_error_with_its_name() -> None:
    """Also as pass-through bytes: what was cut is not handed on as if it were whole."""
    Path("x.csv.gz").write_bytes(gzip.compress(DATA * 1000)[:-5])
    for read in (read_bytes, read_rows):
        with pytest.raises(SourceError, match=r"^x.csv.gz: the gzip data stops after"):
            read(source_of("x.csv.gz"))


def test_a_file_that_is_wrong_inside_is_an_error_with_its_name() -> None:
    """The line, after the name."""
    Path("x.csv").write_bytes(DATA + b"3\n")
    with pytest.raises(SourceError, match=r"^x.csv: line 4: Expected 2 columns"):
        read_rows(source_of("x.csv"))
    Path("x.ndjson").write_bytes(b'{"a":1}\nx\n')
    with pytest.raises(SourceError, match=r"^x.ndjson: line 2: not JSON"):
        read_rows(source_of("x.ndjson"))


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("evnts.csv", "no such file (did you mean 'events.csv'?)"),
        ("absent/x.csv", "no such file (there is no folder 'absent')"),
        ("folder.csv", "it is a folder, not a file"),
        ("events.csv/x.csv", "Not a directory"),
    ],
)
def test_files_that_can_not_be_read(path: str, said: str) -> None:
    """One clear line each."""
    Path("events.csv").write_bytes(DATA)
    Path("folder.csv").mkdir()
    with pytest.raises(SourceError) as caught:
        read_bytes(source_of(path))
    assert str(caught.value) == f"{path}: {said}"


def test_a_file_without_permission_is_named() -> None:
    """As an ordinary user; root may read everything, so it steps down."""
    Path("x.csv").write_bytes(DATA)
    Path("x.csv").chmod(0)
    assert as_nobody(
        "from penstock import connectors, formats\nwith connectors.open_source(connectors.SourceRequest(uri='x.csv', formats=formats)).open_bytes('csv'): pass"
    ) == ("SourceError: x.csv: permission denied (the user running this may not read it)")


def as_nobody(code: str) -> str:
    """Run code in a process without privileges; return the last line it said."""
    script = f"import os, sys\nif os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\nfrom penstock.errors import *\ntry:\n    exec({code!r})\nexcept Exception as exc: print(type(exc).__name__ + ':', exc)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"}
    # Everything is imported before the step down, as the packages may be where only root may look.
    preload = (
        "import penstock.connectors.files, penstock.connectors._stored, penstock.formats.csv, tests.connectors.parts\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", preload + script], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_fifo_is_read_when_somebody_writes() -> None:
    """Opening waits for nobody; reading waits for data, and ends with the writer."""
    os.mkfifo("pipe.csv")
    call = Cancellable(lambda: read_bytes(source_of("pipe.csv")))
    call.wait_still()
    with Path("pipe.csv").open("wb") as writer:
        writer.write(DATA)
    assert call.running.result() == DATA


def test_a_cancel_ends_the_wait_for_a_fifo() -> None:
    """Nobody ever writes, and nobody waits for that."""
    os.mkfifo("pipe.csv")
    call = Cancellable(lambda: read_bytes(source_of("pipe.csv")))
    call.wait_still()
    assert call.cancel() < 0.5


def test_the_file_closes_on_every_way_out() -> None:
    """Also when the block is left early, or fails."""
    Path("x.csv").write_bytes(DATA)
    before = open_descriptors()
    with source_of("x.csv").open_bytes("csv") as chunks:
        next(chunks)
    with pytest.raises(KeyError), source_of("x.csv").open_batches():
        raise KeyError
    Path("x.csv").write_bytes(b"a\n\xff\n")
    with pytest.raises(SourceError):
        read_rows(source_of("x.csv"))
    assert open_descriptors() == before


def test_errors_of_who_reads_are_not_taken_for_errors_of_the_file() -> None:
    """A broken pipe in the block of the reader stays that, though it is an OSError too."""
    Path("x.csv").write_bytes(DATA)
    with pytest.raises(BrokenError), source_of("x.csv").open_bytes("csv"):
        raise BrokenError("the next stage is gone")


# --- writing ---


def test_a_file_is_written_and_nothing_else() -> None:
    """The bytes, the name, the ordinary mode, no temporary file."""
    sink = sink_of("x.csv")
    assert sink.check() is True
    receipt = sink.store(reading(Stream(b"abc", b"def")))
    assert Path("x.csv").read_bytes() == b"abcdef"
    assert (receipt.location, receipt.bytes_stored) == ("x.csv", 6)
    assert names() == ["x.csv"]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(Path("x.csv").stat().st_mode) == 0o666 & ~umask


def test_an_empty_stream_is_an_empty_file() -> None:
    """Nothing is something to publish."""
    sink_of("x.csv").store(data_stream(b""))
    assert Path("x.csv").read_bytes() == b""


@pytest.mark.parametrize("if_exists", ["fail", "overwrite", "skip"])
@pytest.mark.parametrize(
    "error", [Fails("half-way"), BrokenError("the encoder is gone"), OSError("of another"), KeyboardInterrupt()]
)
def test_a_failing_stream_leaves_nothing(if_exists: str, error: BaseException) -> None:
    """Its own exception comes out, and no file, temporary or other, remains."""
    before = open_descriptors()
    with pytest.raises(type(error)) as caught:
        sink_of("x.csv", if_exists=if_exists).store(reading(Stream(b"x" * 100_000, error)))
    assert caught.value is error
    assert names() == []
    assert open_descriptors() == before


def test_a_failing_stream_leaves_the_old_file_as_it_was() -> None:
    """Overwriting is not begun before the new content is complete."""
    Path("x.csv").write_bytes(b"old")
    with pytest.raises(Fails):
        sink_of("x.csv", if_exists="overwrite").store(reading(Stream(b"new", Fails())))
    assert Path("x.csv").read_bytes() == b"old"
    assert names() == ["x.csv"]


def test_readers_never_see_a_part() -> None:
    """While it is being written there is no such name, or the old content under it."""
    Path("x.csv").write_bytes(b"old")
    seen = []

    class Looking(Stream):
        def read(self, size: int = -1, /) -> bytes:
            seen.append(Path("x.csv").read_bytes())
            return super().read(size)

    sink_of("x.csv", if_exists="overwrite").store(reading(Looking(b"a", b"b")))
    assert set(seen) == {b"old"}
    assert Path("x.csv").read_bytes() == b"ab"


def test_an_existing_file_is_looked_at_before() -> None:
    """The three answers of if_exists, and check() touches nothing."""
    Path("x.csv").write_bytes(b"old")
    with pytest.raises(AlreadyExists, match=r"^x.csv: the file exists already .if_exists may be overwrite or skip"):
        sink_of("x.csv").check()
    assert sink_of("x.csv", if_exists="skip").check() is False
    assert sink_of("x.csv", if_exists="overwrite").check() is True
    assert (names(), Path("x.csv").read_bytes()) == (["x.csv"], b"old")


@pytest.mark.parametrize("if_exists", ["fail", "skip"])
def test_a_file_that_appears_meanwhile_is_not_replaced(if_exists: str) -> None:
    """Publishing refuses by itself, without a moment between looking and doing."""

    class Appearing(Stream):
        def read(self, size: int = -1, /) -> bytes:
            Path("x.csv").write_bytes(b"somebody else's")
            return super().read(size)

    sink = sink_of("x.csv", if_exists=if_exists)
    assert sink.check() is True
    with pytest.raises(AlreadyExists):
        sink.store(reading(Appearing(b"ours")))
    assert Path("x.csv").read_bytes() == b"somebody else's"
    assert names() == ["x.csv"]


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK])
def test_file_systems_without_hard_links(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where links are refused, the name is claimed and then replaced, with the same outcome both ways."""

    def refuse(self: Path, target: Path) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    sink_of("x.csv").store(data_stream(b"new"))
    assert (names(), Path("x.csv").read_bytes()) == (["x.csv"], b"new")
    with pytest.raises(AlreadyExists):
        sink_of("x.csv").store(data_stream(b"newer"))
    assert (names(), Path("x.csv").read_bytes()) == (["x.csv"], b"new")


def test_overwriting_keeps_mode_and_follows_links() -> None:
    """Permissions somebody chose stay; a symbolic link stays one, its target is replaced."""
    Path("real.csv").write_bytes(b"old")
    Path("real.csv").chmod(0o640)
    Path("link.csv").symlink_to("real.csv")
    sink_of("link.csv", if_exists="overwrite").store(data_stream(b"new"))
    assert Path("link.csv").is_symlink()
    assert Path("real.csv").read_bytes() == b"new"
    assert stat.S_IMODE(Path("real.csv").stat().st_mode) == 0o640
    assert names() == ["link.csv", "real.csv"]


def test_the_longest_name_still_has_room_for_the_temporary_one() -> None:
    """255 bytes, in letters of several bytes each."""
    name = "ä" * 125 + ".csv"
    sink_of(name).store(data_stream(b"x"))
    assert names() == [name]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("absent/x.csv", "absent/x.csv: there is no folder 'absent' (create it first)"),
        ("folder", "folder: it is a folder, not a file (add a file name)"),
        ("file.csv/x.csv", "file.csv/x.csv: Not a directory (a part of the path is a file)"),
        ("x" * 300 + ".csv", "File name too long (choose a shorter name)"),
    ],
)
def test_places_that_can_not_be_written_are_found_before(path: str, said: str) -> None:
    """check() says so in one line, and nothing is left behind."""
    Path("folder").mkdir()
    Path("file.csv").touch()
    with pytest.raises(SinkError) as caught:
        sink_of(path).check()
    assert said in str(caught.value)
    assert names() == ["file.csv", "folder"]


def test_a_folder_without_permission_is_found_before() -> None:
    """As an ordinary user."""
    assert as_nobody("from tests.connectors.parts import sink_of\nsink_of('x.csv').check()").startswith(
        "SinkError: x.csv: permission denied (the user running this may not write in '.')"
    )


def test_a_full_disk_leaves_nothing() -> None:
    """A limit on the size of files stands for it: the write fails half-way in the same manner."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(SinkError, match=r"^x.csv: File too large .files may not be larger there; nothing was left"):
            sink_of("x.csv").store(data_stream(b"x" * (3 << 20)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names() == []


def test_no_space_is_said_as_such() -> None:
    """/dev/full is a disk that is always full."""
    with pytest.raises(SinkError, match=r"^/dev/full: No space left on device .the disk is full") as caught:
        sink_of("/dev/full").store(data_stream(b"x"))
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize("if_exists", ["fail", "overwrite", "skip"])
def test_devices_are_written_straight(if_exists: str) -> None:
    """/dev/null is there, and neither refused, skipped nor replaced."""
    sink = sink_of("/dev/null", if_exists=if_exists)
    assert sink.check() is True
    assert sink.store(data_stream(b"x" * 1_000_000)).bytes_stored == 1_000_000
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_a_fifo_is_written_straight() -> None:
    """More than it holds, at the pace of its reader, who may come later."""
    os.mkfifo("pipe.csv")
    data = os.urandom(1_000_000)
    writer = start(lambda: sink_of("pipe.csv").store(data_stream(data)))
    with Path("pipe.csv").open("rb") as reader:
        assert reader.read() == data
    assert writer.result().bytes_stored == len(data)
    assert names() == ["pipe.csv"]


def test_a_cancel_ends_the_wait_for_a_reader_of_a_fifo() -> None:
    """Before there is one, and while it does not read."""
    os.mkfifo("pipe.csv")
    call = Cancellable(lambda: sink_of("pipe.csv").store(data_stream(b"x")))
    assert call.cancel() < 0.5
    descriptor = os.open("pipe.csv", os.O_RDONLY | os.O_NONBLOCK)
    try:
        call = Cancellable(lambda: sink_of("pipe.csv").store(data_stream(b"x" * 1_000_000)))
        call.wait_still()
        assert call.cancel() < 0.5
    finally:
        os.close(descriptor)


def test_a_reader_of_a_fifo_that_goes_away_is_an_error() -> None:
    """A broken pipe, with the name."""
    os.mkfifo("pipe.csv")
    writer = start(lambda: sink_of("pipe.csv").store(data_stream(b"x" * 1_000_000)))
    with Path("pipe.csv").open("rb", buffering=0) as reader:
        reader.read(10)
    with pytest.raises(SinkError, match=r"^pipe.csv: Broken pipe"):
        writer.result()


def test_a_cancel_while_waiting_for_data_removes_the_temporary_file() -> None:
    """The scope's cancel wakes the read, and nothing remains."""
    with silent_stream() as stream:
        call = Cancellable(lambda: sink_of("x.csv").store(stream))
        call.running.wait_parked()
        assert call.cancel() < 0.5
    assert names() == []


def test_a_cancelled_scope_publishes_nothing() -> None:
    """Even when all the bytes are there already."""
    cancelled_at_once(lambda: sink_of("x.csv").store(data_stream(b"x")))
    assert names() == []


def test_the_pipe_carries_an_error_across() -> None:
    """What the writing side aborts with comes out of store, and no file exists."""
    reader, writer = pipe(1 << 20)
    error = Fails("half-way")

    def produce() -> None:
        writer.write(b"x" * 100_000)
        writer.abort(error)

    producer = threading.Thread(target=produce)
    producer.start()
    with pytest.raises(Fails) as caught, reader:
        sink_of("x.csv").store(reading(reader))
    producer.join()
    assert caught.value is error
    assert names() == []


@pytest.fixture(autouse=True)
def tidy_afterwards(in_folder: Path) -> Iterator[None]:
    """No test leaves a temporary file of ours."""
    yield
    assert not list(in_folder.rglob("*.penstock-part"))
