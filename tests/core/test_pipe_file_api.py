"""Both ends of a pipe are files: what ``io`` promises of one, and what DESIGN 3.2 promises beyond it."""

from __future__ import annotations

import io
import os
import select
import shutil
from array import array
from collections.abc import Callable

import pytest

from penstock.core.cancel import CancelScope
from penstock.core.pipe import PipeReader, PipeWriter, pipe
from penstock.errors import BrokenError, ClosedError
from tests.core.pipes import BUFFER_SIZES, FailedHalfWay, feed
from tests.core.threads import start, wait_until

# --- making one --------------------------------------------------------------------------------------------------------


def test_pipe_unpacks_and_names_its_ends() -> None:
    """A pair unpacks to reader and writer and has both as attributes."""
    pair = pipe()
    reader, writer = pair
    assert isinstance(reader, PipeReader)
    assert isinstance(writer, PipeWriter)
    assert (pair.reader, pair.writer) == (reader, writer)
    reader.close()
    writer.close()


def test_pipe_as_a_context_manager_closes_both_ends() -> None:
    """``with pipe() as (reader, writer)`` leaves both ends closed."""
    with pipe() as (reader, writer):
        assert not reader.closed
        assert not writer.closed
    assert reader.closed
    assert writer.closed


def test_pipe_as_a_context_manager_aborts_on_an_exception() -> None:
    """An exception that leaves the block is what a thread blocked on the pipe gets."""
    error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError), pipe() as (reader, writer):
        writing = start(writer.write, b"stuck")
        wait_until(lambda: writer.statistics().writers_waiting == 1)
        raise error
    ended = writing.error(Exception)
    assert ended is error or isinstance(ended, ClosedError)
    assert reader.closed
    assert writer.closed


@pytest.mark.parametrize("size", [-1, -65536])
def test_a_negative_buffer_is_refused(size: int) -> None:
    """A buffer of less than nothing makes no sense."""
    with pytest.raises(ValueError, match=r"buffer_size|negative"):
        pipe(size)


def test_names_and_repr() -> None:
    """Both ends carry the pipe's name, and repr says which end it is and whether it is open."""
    with pipe(name="rows") as (reader, writer):
        assert reader.name == "rows"
        assert writer.name == "rows"
        assert "PipeReader" in repr(reader)
        assert "rows" in repr(reader)
        assert "PipeWriter" in repr(writer)
        open_repr = repr(writer)
    assert "closed" in repr(writer)
    assert repr(writer) != open_repr


@pytest.mark.parametrize("abc", [io.IOBase, io.BufferedIOBase])
def test_both_ends_are_io_objects(abc: type) -> None:
    """Isinstance checks of libraries hold."""
    with pipe() as (reader, writer):
        assert isinstance(reader, abc)
        assert isinstance(writer, abc)


def test_what_each_end_can_do() -> None:
    """readable, writable, seekable and isatty tell the truth; the rest is UnsupportedOperation, as on files."""
    with pipe() as (reader, writer):
        assert (reader.readable(), reader.writable(), reader.seekable(), reader.isatty()) == (True, False, False, False)
        assert (writer.readable(), writer.writable(), writer.seekable(), writer.isatty()) == (False, True, False, False)
        refused: list[Callable[[], object]] = [
            lambda: reader.write(b"x"),
            lambda: writer.read(1),
            lambda: writer.read1(1),
            lambda: writer.readinto(bytearray(1)),
            writer.readline,
            reader.fileno,
            writer.fileno,
            lambda: reader.seek(0),
            lambda: writer.seek(0),
            reader.tell,
            reader.truncate,
            reader.detach,
        ]
        for operation in refused:
            with pytest.raises(io.UnsupportedOperation):
                operation()


# --- reading -----------------------------------------------------------------------------------------------------------


@BUFFER_SIZES
def test_read_fills(buffer_size: int) -> None:
    """read(n) waits for n bytes across writes; only the end makes it shorter."""
    reader, feeding = feed(buffer_size, b"ab", b"cde", b"f")
    assert [reader.read(4), reader.read(4), reader.read(4)] == [b"abcd", b"ef", b""]
    feeding.result()
    reader.close()


@BUFFER_SIZES
@pytest.mark.parametrize("size", [-1, None, "omitted"])
def test_read_all(buffer_size: int, size: int | str | None) -> None:
    """read(), read(-1) and read(None) return everything up to the end."""
    reader, feeding = feed(buffer_size, b"ab" * 5000, b"", b"cde")
    data = reader.read() if size == "omitted" else reader.read(size)  # type: ignore[arg-type]
    assert data == b"ab" * 5000 + b"cde"
    assert reader.read() == b""
    feeding.result()
    reader.close()


def test_read_waits_for_all_n_bytes() -> None:
    """A short write does not end a read that wants more."""
    with pipe() as (reader, writer):
        reading = start(reader.read, 3)
        writer.write(b"ab")
        wait_until(lambda: reader.statistics().readers_waiting == 1)
        assert not reading.done
        writer.write(b"c")
        assert reading.result() == b"abc"


def test_concurrent_fills_do_not_mix() -> None:
    """Two threads that fill at once get every byte once."""
    data = bytes(range(256)) * 16
    reader, feeding = feed(0, *(data[at : at + 5] for at in range(0, len(data), 5)))

    def read_eights() -> list[bytes]:
        return list(iter(lambda: reader.read(8), b""))

    pieces = [piece for reading in [start(read_eights) for _ in range(2)] for piece in reading.result()]
    assert sorted(b"".join(pieces)) == sorted(data)
    feeding.result()
    reader.close()


def test_read1_returns_the_bytes_of_one_write() -> None:
    """read1 does not glue writes together, and leaves what does not fit for the next."""
    reader, feeding = feed(0, b"abc", b"defg")
    assert [reader.read1(2), reader.read1(2), reader.read1(100), reader.read1()] == [b"ab", b"c", b"defg", b""]
    feeding.result()
    reader.close()


def test_read1_without_a_size_returns_what_one_write_offers() -> None:
    """read1() and read1(-1) take the whole write."""
    reader, feeding = feed(0, b"x" * 100_000, b"y" * 3)
    assert reader.read1() == b"x" * 100_000
    assert reader.read1(-1) == b"yyy"
    feeding.result()
    reader.close()


def test_immutable_bytes_are_handed_over_without_a_copy() -> None:
    """A read1 that takes a whole write of bytes gets that very object."""
    data = b"x" * 100_000
    reader, feeding = feed(0, data)
    assert reader.read1(len(data)) is data
    feeding.result()
    reader.close()


@BUFFER_SIZES
def test_readinto_fills(buffer_size: int) -> None:
    """Readinto fills its buffer across writes; at the end it returns what there was, then 0."""
    reader, feeding = feed(buffer_size, b"ab", b"cde", b"f")
    buffer = bytearray(4)
    assert reader.readinto(buffer) == 4
    assert buffer == b"abcd"
    assert reader.readinto(buffer) == 2
    assert buffer[:2] == b"ef"
    assert reader.readinto(buffer) == 0
    feeding.result()
    reader.close()


def test_readinto1_takes_one_write() -> None:
    """readinto1 returns the bytes of at most one write."""
    reader, feeding = feed(0, b"ab", b"cde")
    buffer = bytearray(4)
    assert reader.readinto1(buffer) == 2
    assert reader.readinto1(buffer) == 3
    assert buffer[:3] == b"cde"
    assert reader.readinto1(buffer) == 0
    feeding.result()
    reader.close()


@pytest.mark.parametrize("method", ["readinto", "readinto1"])
def test_readinto_counts_bytes_of_any_item_size(method: str) -> None:
    """A buffer of four-byte items is filled as raw bytes, and the count is bytes."""
    numbers = array("I", range(8))
    with pipe() as (reader, writer):
        writing = start(writer.write, numbers)
        buffer = array("I", [0] * 8)
        assert getattr(reader, method)(buffer) == 8 * buffer.itemsize
        assert buffer == numbers
        assert writing.result() == 8 * numbers.itemsize


@pytest.mark.parametrize("method", ["readinto", "readinto1"])
def test_readinto_needs_a_writable_contiguous_buffer(method: str) -> None:
    """A read-only or strided buffer is an error at once, and takes nothing from the pipe."""
    reader, feeding = feed(0, b"kept")
    for buffer in (b"read-only", memoryview(b"read-only"), memoryview(bytearray(8))[::2]):
        with pytest.raises((TypeError, BufferError, ValueError)):
            getattr(reader, method)(buffer)
    assert reader.read(4) == b"kept"
    feeding.result()
    reader.close()


@BUFFER_SIZES
def test_lines(buffer_size: int) -> None:
    """Readline finds line ends across writes, honours a limit, and returns a last line without one."""
    reader, feeding = feed(buffer_size, b"fir", b"st\nsec", b"ond\n\nlast")
    assert reader.readline() == b"first\n"
    assert reader.readline(3) == b"sec"
    assert reader.readline(0) == b""
    assert reader.readline(-1) == b"ond\n"
    assert [reader.readline(), reader.readline(), reader.readline()] == [b"\n", b"last", b""]
    feeding.result()
    reader.close()


def test_readline_does_not_read_past_the_line() -> None:
    """What follows the line in the same write stays with the writer."""
    with pipe() as (reader, writer):
        writing = start(writer.write, b"line\nrest")
        assert reader.readline() == b"line\n"
        assert reader.statistics().bytes_read == 5
        assert not writing.done
        assert reader.read(4) == b"rest"
        writing.result()


@BUFFER_SIZES
def test_iteration_and_readlines(buffer_size: int) -> None:
    """Iterating gives lines; readlines gives all of them, or as many as the hint asks for."""
    reader, feeding = feed(buffer_size, b"a\nb\n", b"c")
    assert list(reader) == [b"a\n", b"b\n", b"c"]
    feeding.result()
    reader.close()

    reader, feeding = feed(buffer_size, b"a\nb\n", b"c")
    assert reader.readlines(3) == [b"a\n", b"b\n"]
    assert reader.readlines() == [b"c"]
    feeding.result()
    reader.close()


def test_reading_after_the_end_keeps_saying_so() -> None:
    """The end is the end, however often and however one asks."""
    reader, feeding = feed(0, b"x")
    assert reader.read() == b"x"
    for _ in range(3):
        assert reader.read(5) == b""
        assert reader.read1(5) == b""
        assert reader.readinto(bytearray(5)) == 0
        assert reader.readline() == b""
    feeding.result()
    reader.close()


# --- writing -----------------------------------------------------------------------------------------------------------


def test_write_takes_any_contiguous_buffer() -> None:
    """bytes, bytearray, memoryview, array: bytes are counted, not items."""
    for data in (b"abcd", bytearray(b"abcd"), memoryview(b"abcd"), array("H", [1, 2])):
        with pipe() as (reader, writer):
            writing = start(writer.write, data)
            assert reader.read(4) == bytes(data)
            assert writing.result() == 4


def test_write_refuses_what_is_not_a_contiguous_buffer() -> None:
    """Text is a TypeError as on binary files; a strided view is an error too, and nothing is written."""
    with pipe(64) as (reader, writer):
        with pytest.raises(TypeError):
            writer.write("text")  # type: ignore[arg-type]
        with pytest.raises((TypeError, BufferError, ValueError)):
            writer.write(memoryview(b"abcdef")[::2])
        assert writer.statistics().bytes_written == 0
        assert reader.statistics().waiting_bytes == 0


def test_writelines_writes_each() -> None:
    """Writelines is a write per item."""
    with pipe(64) as (reader, writer):
        writer.writelines([b"a\n", b"b\n"])
        assert reader.read(4) == b"a\nb\n"


def test_flush_does_not_wait() -> None:
    """Nothing is held back by the writer, so there is nothing to flush."""
    with pipe(4) as (_, writer):
        writer.write(b"ab")
        writer.flush()


# --- closing -----------------------------------------------------------------------------------------------------------


def test_operations_on_ones_own_closed_end() -> None:
    """Everything on a closed end is ClosedError, a ValueError as on files; close again is fine."""
    reader, writer = pipe(16)
    reader.close()
    writer.close()
    assert reader.closed
    assert writer.closed
    operations: list[Callable[[], object]] = [
        reader.read,
        lambda: reader.read(0),
        reader.read1,
        lambda: reader.readinto(bytearray(1)),
        lambda: reader.readinto1(bytearray(1)),
        reader.readline,
        reader.__enter__,
        lambda: next(reader),
        lambda: writer.write(b"x"),
        lambda: writer.write(b""),
        writer.flush,
        writer.__enter__,
    ]
    for operation in operations:
        with pytest.raises(ClosedError) as caught:
            operation()
        assert isinstance(caught.value, ValueError)
    reader.close()
    writer.close()


@pytest.mark.parametrize("how", ["own close", "peer close", "peer abort", "cancelled"])
def test_every_failed_write_says_how_much_was_written(how: str) -> None:
    """characters_written is there also where the write did not even begin: 0, as Go returns n with every error."""
    reader, writer = pipe()
    scope = CancelScope()
    if how == "own close":
        writer.close()
    elif how == "peer close":
        reader.close()
    elif how == "peer abort":
        reader.abort(FailedHalfWay())
    else:
        scope.cancel()
    seen: list[BaseException] = []
    with scope:
        try:
            writer.write(b"x")
        except BaseException as error:
            seen.append(error)
            if how == "cancelled":
                raise
    assert seen[0].characters_written == 0  # type: ignore[attr-defined]
    reader.close()
    writer.close()


def test_broken_error_is_what_broken_files_raise() -> None:
    """Code written for files and sockets catches BrokenPipeError."""
    reader, writer = pipe()
    reader.close()
    with pytest.raises(BrokenPipeError) as caught:
        writer.write(b"x")
    assert isinstance(caught.value, BrokenError)
    writer.close()


def test_with_on_an_end_closes_it() -> None:
    """Leaving a with block normally is a close, so the other side sees the end."""
    reader, writer = pipe(16)
    with writer:
        writer.write(b"all")
    assert writer.closed
    with reader:
        assert reader.read() == b"all"
    assert reader.closed


@pytest.mark.parametrize("side", ["reader", "writer"])
def test_with_on_an_end_aborts_on_an_exception(side: str) -> None:
    """Leaving a with block by an exception hands that very exception to the other side."""
    reader, writer = pipe()
    error = ZeroDivisionError("in the block")
    with pytest.raises(ZeroDivisionError), reader if side == "reader" else writer:
        raise error
    with pytest.raises(ZeroDivisionError) as caught:
        writer.write(b"x") if side == "reader" else reader.read()
    assert caught.value is error
    reader.close()
    writer.close()


# --- statistics --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("buffer_size", [0, 100])
def test_statistics_count_bytes_and_ends(buffer_size: int) -> None:
    """Both ends report the same numbers."""
    reader, writer = pipe(buffer_size)
    writing = start(writer.write, b"x" * 30)
    assert reader.read(10) == b"x" * 10
    assert reader.read(20) == b"x" * 20
    writing.result()
    for end in (reader, writer):
        statistics = end.statistics()
        assert statistics.buffer_size == buffer_size
        assert statistics.bytes_read == 30
        assert statistics.bytes_written == 30
        assert statistics.waiting_bytes == 0
        assert statistics.writers_waiting == 0
        assert statistics.readers_waiting == 0
        assert not statistics.write_closed
        assert not statistics.read_closed
    writer.close()
    assert reader.statistics().write_closed
    assert not reader.statistics().read_closed
    reader.close()
    assert writer.statistics().read_closed


def test_statistics_time_who_waited_on_whom() -> None:
    """Blocked seconds grow on the side that waits, and only there."""
    with pipe() as (reader, writer):
        reading = start(reader.read, 1)
        wait_until(lambda: reader.statistics().readers_waiting == 1)
        wait_until(lambda: False if reading.done else reader.statistics().readers_waiting == 1)
        writer.write(b"x")
        reading.result()
        assert reader.statistics().read_blocked_seconds > 0
        writing = start(writer.write, b"y")
        wait_until(lambda: writer.statistics().writers_waiting == 1)
        reader.read(1)
        writing.result()
        assert writer.statistics().write_blocked_seconds > 0


# --- with the rest of the standard library -----------------------------------------------------------------------------


def test_copyfileobj_both_ways() -> None:
    """shutil.copyfileobj in and out of a pipe copies every byte."""
    data = os.urandom(300_000)
    reader, writer = pipe()

    def fill() -> None:
        with writer:
            shutil.copyfileobj(io.BytesIO(data), writer)

    filling, sink = start(fill), io.BytesIO()
    shutil.copyfileobj(reader, sink)
    filling.result()
    assert sink.getvalue() == data
    reader.close()


def test_a_text_wrapper_reads_lines_of_text() -> None:
    """io.TextIOWrapper works on the reader."""
    reader, feeding = feed(0, "grüße\nwelt\n".encode())
    with io.TextIOWrapper(reader, encoding="utf-8") as text:
        assert list(text) == ["grüße\n", "welt\n"]
    assert reader.closed
    feeding.result()


def test_a_buffered_reader_on_top_works() -> None:
    """io.BufferedReader works on the reader, though it reads ahead."""
    reader, feeding = feed(0, b"abc", b"def\n", b"g")
    with io.BufferedReader(reader) as buffered:  # type: ignore[type-var]
        assert buffered.readline() == b"abcdef\n"
        assert buffered.read() == b"g"
    feeding.result()


def test_select_and_friends_say_clearly_that_there_is_no_descriptor() -> None:
    """A pipe uses no file descriptor; who asks for one gets io.UnsupportedOperation."""
    with pipe() as (reader, _), pytest.raises(io.UnsupportedOperation):
        select.select([reader], [], [], 0)
