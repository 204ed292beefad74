"""Both ends of a pipe are files: what ``io`` promises of one, and what DESIGN 3.2 promises beyond it."""

from __future__ import annotations

import gc
import io
import os
import select
import shutil
import signal
import threading
import time
import warnings
import weakref
from array import array
from collections.abc import Callable

import pytest

from penstock.core.cancel import CancelScope
from penstock.core.pipe import PipeReader, PipeWriter, pipe, reading_from, writing_to
from penstock.errors import BrokenError, Cancelled, ClosedError, PipeAbandoned, WouldDeadlock
from tests.core.threads import PATIENCE, Running, start, wait_until

BUFFER_SIZES = pytest.mark.parametrize("buffer_size", [0, 1, 7, 65536], ids=lambda size: f"buffer{size}")


def write_all(writer: PipeWriter, *chunks: bytes) -> None:
    """Write the chunks one by one, then close."""
    for chunk in chunks:
        writer.write(chunk)
    writer.close()


def feed(buffer_size: int, *chunks: bytes) -> tuple[PipeReader, Running[None]]:
    """A reader of a pipe into which a thread writes ``chunks`` and then closes."""
    reader, writer = pipe(buffer_size)
    return reader, start(write_all, writer, *chunks)


# --- making one -------------------------------------------------------------------------------------------------


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


# --- reading ----------------------------------------------------------------------------------------------------


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


# --- writing ----------------------------------------------------------------------------------------------------


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


# --- closing ----------------------------------------------------------------------------------------------------


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


# --- abort ------------------------------------------------------------------------------------------------------


def test_abort_without_an_error_is_a_broken_error() -> None:
    """abort() means: this will not be finished. It is never the end."""
    reader, writer = pipe()
    writer.abort()
    with pytest.raises(BrokenError):
        reader.read()
    reader.close()

    reader, writer = pipe()
    reader.abort()
    with pytest.raises(BrokenError):
        writer.write(b"x")
    writer.close()


def test_abort_raises_the_same_object_each_time() -> None:
    """The other side raises that very exception, as often as it asks."""
    reader, writer = pipe()
    error = ZeroDivisionError()
    writer.abort(error)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError) as caught:
            reader.read1(1)
        assert caught.value is error
    reader.close()


@pytest.mark.parametrize("error", [Cancelled("why"), KeyboardInterrupt(), SystemExit(3), GeneratorExit()], ids=repr)
@pytest.mark.parametrize("side", ["reader", "writer"])
def test_abort_with_a_base_exception_is_a_broken_error(error: BaseException, side: str) -> None:
    """A cancel or Ctrl-C of one side must not look like one of the other: BrokenError, with it as the cause."""
    reader, writer = pipe()
    (reader if side == "reader" else writer).abort(error)
    with pytest.raises(BrokenError) as caught:
        writer.write(b"x") if side == "reader" else reader.read()
    assert caught.value.__cause__ is error
    reader.close()
    writer.close()


def test_abort_closes_ones_own_end() -> None:
    """Who aborted has closed: closed is true and further use is ClosedError."""
    reader, writer = pipe()
    writer.abort(ZeroDivisionError())
    assert writer.closed
    with pytest.raises(ClosedError):
        writer.write(b"x")
    reader.abort(ZeroDivisionError())
    assert reader.closed
    with pytest.raises(ClosedError):
        reader.read()


def test_abort_drops_what_waits_in_the_buffer() -> None:
    """The reader learns of the failure at once, not after a buffer full of useless bytes."""
    reader, writer = pipe(1024)
    writer.write(b"half of it")
    error = ZeroDivisionError()
    writer.abort(error)
    with pytest.raises(ZeroDivisionError):
        reader.read(1)
    assert reader.statistics().waiting_bytes == 0
    reader.close()


def test_close_lets_the_buffer_drain() -> None:
    """What was written before close is read before the end."""
    reader, writer = pipe(1024)
    writer.write(b"all of it")
    writer.close()
    assert reader.read(3) == b"all"
    assert reader.read() == b" of it"
    reader.close()


def test_a_fill_that_meets_an_abort_raises() -> None:
    """read(n) with some bytes in hand does not return them as if they were the end of the stream."""
    reader, writer = pipe()
    reading = start(reader.read, 10)
    writer.write(b"some")
    error = ZeroDivisionError()
    writer.abort(error)
    assert reading.error(ZeroDivisionError) is error
    reader.close()


# --- close while an exception is in flight ----------------------------------------------------------------------


class FailedHalfWay(Exception):
    """What goes wrong in a block that writes."""


def test_close_in_flight_is_an_abort() -> None:
    """A wrapper that calls close() on the way out of a failing block must not make it look like the end."""
    reader, writer = pipe(64)
    error = FailedHalfWay()
    try:
        try:
            writer.write(b"half")
            raise error
        finally:
            writer.close()
    except FailedHalfWay:
        pass
    with pytest.raises(FailedHalfWay) as caught:
        reader.read()
    assert caught.value is error
    reader.close()


def test_close_in_flight_of_the_reader_is_an_abort() -> None:
    """The writer learns why its reader went away."""
    reader, writer = pipe()
    error = FailedHalfWay()
    try:
        try:
            raise error
        finally:
            reader.close()
    except FailedHalfWay:
        pass
    with pytest.raises(FailedHalfWay) as caught:
        writer.write(b"x")
    assert caught.value is error
    writer.close()


def test_an_exception_already_handled_when_the_pipe_was_made_does_not_count() -> None:
    """A whole transfer inside an ``except`` block (a fallback, a retry) ends cleanly."""
    try:
        raise FailedHalfWay
    except FailedHalfWay:
        reader, writer = pipe(64)
        writer.write(b"the fallback")
        writer.close()
        assert reader.read() == b"the fallback"
        reader.close()
        writer.close()


def test_a_new_exception_inside_an_except_block_counts() -> None:
    """The exception that was there before does not hide one that came after."""
    try:
        raise FailedHalfWay("first")
    except FailedHalfWay:
        reader, writer = pipe(64)
        second = FailedHalfWay("second")
        try:
            try:
                raise second
            finally:
                writer.close()
        except FailedHalfWay:
            pass
    with pytest.raises(FailedHalfWay) as caught:
        reader.read()
    assert caught.value is second
    reader.close()


def test_an_exception_in_flight_in_another_thread_does_not_count() -> None:
    """Only this thread's exception is this end's business."""
    reader, writer = pipe(64)
    closing, closed = threading.Event(), threading.Event()

    def fail_elsewhere() -> None:
        try:
            raise FailedHalfWay
        except FailedHalfWay:
            closing.set()
            assert closed.wait(PATIENCE)

    failing = start(fail_elsewhere)
    assert closing.wait(PATIENCE)
    writer.write(b"fine")
    writer.close()
    closed.set()
    failing.result()
    assert reader.read() == b"fine"
    reader.close()


def test_close_after_the_exception_was_handled_is_the_end() -> None:
    """An exception that was caught and dealt with is over."""
    reader, writer = pipe(64)
    try:
        raise FailedHalfWay
    except FailedHalfWay:
        writer.write(b"recovered")
    writer.close()
    assert reader.read() == b"recovered"
    reader.close()


# --- buffered pipes ---------------------------------------------------------------------------------------------


def test_a_buffered_write_that_fits_does_not_wait() -> None:
    """Writes return at once while they fit, to the very last byte of the buffer."""
    with pipe(10) as (reader, writer):
        assert writer.write(b"abcd") == 4
        assert writer.write(b"efghij") == 6
        assert writer.statistics().waiting_bytes == 10
        assert reader.read(10) == b"abcdefghij"


def test_a_buffered_write_blocks_only_when_it_does_not_fit() -> None:
    """The byte too many waits until the reader has made room, then the write returns without being read itself."""
    with pipe(10) as (reader, writer):
        writer.write(b"0123456789")
        writing = start(writer.write, b"ab")
        wait_until(lambda: writer.statistics().writers_waiting == 1)
        assert reader.read(1) == b"0"
        assert not writing.done
        assert reader.read(1) == b"1"
        assert writing.result() == 2
        assert writer.statistics().waiting_bytes == 10
        assert reader.read(10) == b"23456789ab"


def test_a_write_larger_than_the_buffer_passes_through() -> None:
    """It is not refused: it arrives whole, and returns only when what is left of it fits the buffer."""
    data = os.urandom(100_000)
    reader, feeding = feed(1000, data)
    received = bytearray(reader.read(98_999))
    wait_until(lambda: reader.statistics().writers_waiting == 1)
    received += reader.read(1)
    feeding.result()
    received += reader.read()
    assert received == data
    feeding.result()
    reader.close()


def test_never_more_than_the_buffer_waits() -> None:
    """With several writers at work, no more is written (the write has returned) and unread than the buffer holds."""
    sizes, returned = (1, 63, 64, 65, 200), list[int]()
    with pipe(64) as (reader, writer):

        def write_each() -> None:
            for size in sizes:
                returned.append(writer.write(b"x" * size))

        writings = [start(write_each) for _ in range(3)]
        for taken in range(3 * sum(sizes)):
            assert sum(returned) <= 64 + taken
            assert reader.read(1) == b"x"
        for writing in writings:
            writing.result()


def test_read1_of_a_buffered_pipe_takes_whatever_waits() -> None:
    """Small buffered writes come back together, up to the size asked for."""
    with pipe(100) as (reader, writer):
        for piece in (b"ab", b"cd", b"ef"):
            writer.write(piece)
        assert reader.read1(5) == b"abcde"
        assert reader.read1(5) == b"f"
        writer.write(b"gh")
        writer.write(b"ij")
        assert reader.read1() == b"ghij"


def test_readinto1_of_a_buffered_pipe_takes_whatever_waits() -> None:
    """readinto1 as read1."""
    with pipe(100) as (reader, writer):
        writer.write(b"ab")
        writer.write(b"cd")
        buffer = bytearray(10)
        assert reader.readinto1(buffer) == 4
        assert buffer[:4] == b"abcd"


def test_a_mutable_buffer_may_be_reused_after_a_buffered_write() -> None:
    """What waits in the buffer is a copy of a mutable source."""
    with pipe(100) as (reader, writer):
        buffer = bytearray(b"first")
        writer.write(buffer)
        buffer[:] = b"XXXXX"
        buffer += b"resized"
        assert reader.read(5) == b"first"


@pytest.mark.parametrize("buffer_size", [0, 50])
def test_concurrent_writes_never_interleave(buffer_size: int) -> None:
    """Each write's bytes are together in the stream, buffered or not, fitting or not."""
    size, times, writers = 33, 20, 4
    with pipe(buffer_size) as (reader, writer):

        def write_many(mark: int) -> None:
            for _ in range(times):
                writer.write(bytes([mark]) * size)

        writings = [start(write_many, mark) for mark in range(writers)]
        data = reader.read(size * times * writers)
        for writing in writings:
            writing.result()
    blocks = [data[at : at + size] for at in range(0, len(data), size)]
    assert all(len(set(block)) == 1 for block in blocks)


def test_a_large_write_does_not_let_others_in_between() -> None:
    """A write larger than the buffer stays whole though it is taken in pieces."""
    with pipe(8) as (reader, writer):
        large = start(writer.write, b"L" * 100)
        wait_until(lambda: writer.statistics().writers_waiting == 1)
        small = start(writer.write, b"s")
        assert reader.read(101) == b"L" * 100 + b"s"
        assert (large.result(), small.result()) == (100, 1)


def test_a_buffered_write_broken_half_way_says_how_much_was_accepted() -> None:
    """characters_written of a large buffered write counts no more than what the pipe took."""
    reader, writer = pipe(8)
    writing = start(writer.write, b"x" * 100)
    assert reader.read(20) == b"x" * 20
    wait_until(lambda: writer.statistics().writers_waiting == 1)
    reader.close()
    assert 20 <= writing.error(BrokenError).characters_written <= 28
    writer.close()


# --- statistics -------------------------------------------------------------------------------------------------


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


# --- reading_from, writing_to -----------------------------------------------------------------------------------


@BUFFER_SIZES
def test_reading_from_gives_a_reader_for_code_that_writes(buffer_size: int) -> None:
    """The producer writes in a thread of its own; the end comes when it returns."""

    def produce(writer: PipeWriter) -> None:
        for number in range(100):
            writer.write(b"%d\n" % number)

    with reading_from(produce, buffer_size=buffer_size) as reader:
        assert [int(line) for line in reader] == list(range(100))


def test_reading_from_the_end_is_the_producers_return_not_its_close() -> None:
    """A wrapper that closes the writer does not end the stream while the producer still works and may fail."""
    error = FailedHalfWay("after the wrapper closed")

    closed = threading.Event()

    def produce(writer: PipeWriter) -> None:
        with io.TextIOWrapper(writer) as text:
            text.write("looks complete")
        closed.set()
        raise error

    with pytest.raises(FailedHalfWay) as caught, reading_from(produce, buffer_size=100) as reader:
        assert closed.wait(PATIENCE)
        data = reader.read()
        pytest.fail(f"an upload would have published {data!r}")
    assert caught.value is error


def test_reading_from_the_end_waits_for_the_producer_to_return() -> None:
    """While a producer that has closed its writer still runs, the reader waits: it may fail yet."""
    closed, may_return = threading.Event(), threading.Event()

    def produce(writer: PipeWriter) -> None:
        writer.write(b"all")
        writer.close()
        closed.set()
        assert may_return.wait(PATIENCE)

    def read_all() -> bytes:
        with reading_from(produce, buffer_size=10) as reader:
            return reader.read()

    reading = start(read_all)
    assert closed.wait(PATIENCE)
    reading.wait_parked()
    may_return.set()
    assert reading.result() == b"all"


def test_reading_from_passes_the_producers_error_to_the_reader() -> None:
    """The same object, bare: not in an ExceptionGroup, not as the end."""
    error = FailedHalfWay()

    def produce(writer: PipeWriter) -> None:
        writer.write(b"half")
        raise error

    with pytest.raises(FailedHalfWay) as caught, reading_from(produce) as reader:
        assert reader.read(4) == b"half"
        with pytest.raises(FailedHalfWay) as inside:
            reader.read()
        assert inside.value is error
        raise inside.value
    assert caught.value is error


def test_reading_from_an_unread_failure_is_not_lost() -> None:
    """A producer that fails where nobody reads any more still fails the block."""
    failed = threading.Event()

    def produce(writer: PipeWriter) -> None:
        writer.write(b"half")
        failed.set()
        raise FailedHalfWay

    with pytest.raises(FailedHalfWay), reading_from(produce) as reader:
        assert reader.read(4) == b"half"
        assert failed.wait(PATIENCE)


def test_reading_from_stops_the_producer_when_the_reader_leaves() -> None:
    """A consumer that has enough leaves; the producer's blocked write breaks, its thread ends, no error is raised."""
    ended: list[BaseException] = []

    def produce(writer: PipeWriter) -> None:
        try:
            while True:
                writer.write(b"x" * 100)
        except BaseException as error:
            ended.append(error)
            raise

    with reading_from(produce) as reader:
        assert reader.read(10) == b"x" * 10
    assert len(ended) == 1


def test_reading_from_a_consumer_error_reaches_the_producer() -> None:
    """What the block raises is raised from it, unchanged, and the producer is stopped where it waits."""
    ended: list[BaseException] = []
    error = FailedHalfWay("consumer")

    def produce(writer: PipeWriter) -> None:
        try:
            while True:
                writer.write(b"x")
        except BaseException as caught:
            ended.append(caught)
            raise

    with pytest.raises(FailedHalfWay) as caught, reading_from(produce) as reader:
        reader.read(3)
        raise error
    assert caught.value is error
    assert len(ended) == 1


def test_reading_from_leaves_no_thread() -> None:
    """When the block is left, the producer's thread has ended."""
    names: list[threading.Thread] = []

    def produce(writer: PipeWriter) -> None:
        names.append(threading.current_thread())
        writer.write(b"x")

    with reading_from(produce) as reader:
        reader.read()
    assert not names[0].is_alive()


def test_writing_to_gives_a_writer_for_code_that_reads() -> None:
    """The consumer reads in a thread of its own; result() is what it returned."""
    with writing_to(lambda reader: sum(map(len, reader))) as handle:
        for _ in range(10):
            handle.writer.write(b"12345\n")
    assert handle.result() == 60


def test_writing_to_waits_for_the_consumer() -> None:
    """Leaving the block closes the writer and waits until the consumer is done with the rest."""
    gate = threading.Event()

    def consume(reader: PipeReader) -> bytes:
        assert gate.wait(PATIENCE)
        return reader.read()

    with writing_to(consume, buffer_size=100) as handle:
        handle.writer.write(b"buffered")
        gate.set()
    assert handle.result() == b"buffered"


def test_writing_to_raises_the_consumers_error() -> None:
    """The same object, at the blocked write or when the block is left, and from result()."""
    error = FailedHalfWay()

    def consume(reader: PipeReader) -> None:
        reader.read(3)
        raise error

    with pytest.raises(FailedHalfWay) as caught, writing_to(consume) as handle:
        while True:
            handle.writer.write(b"xyz")
    assert caught.value is error
    with pytest.raises(FailedHalfWay):
        handle.result()


def test_writing_to_a_producer_error_reaches_the_consumer() -> None:
    """A failing block never looks like the end to the consumer."""
    seen: list[BaseException] = []
    error = FailedHalfWay()

    def consume(reader: PipeReader) -> bytes:
        try:
            return reader.read()
        except BaseException as caught:
            seen.append(caught)
            raise

    with pytest.raises(FailedHalfWay) as caught, writing_to(consume) as handle:
        handle.writer.write(b"half")
        raise error
    assert caught.value is error
    assert seen == [error]


def test_writing_to_a_consumer_that_stops_early_is_not_a_failure_until_written_to() -> None:
    """A consumer may return before the end; a write after that breaks."""
    consumed = threading.Event()

    def consume(reader: PipeReader) -> bytes:
        data = reader.read(3)
        consumed.set()
        return data

    with writing_to(consume) as handle:
        handle.writer.write(b"abc")
    assert handle.result() == b"abc"

    with pytest.raises(BrokenError), writing_to(consume) as handle:
        while True:
            handle.writer.write(b"abc")


# --- abandoned ends ---------------------------------------------------------------------------------------------


def drop(ends: list[PipeReader | PipeWriter]) -> None:
    """Let go of the last reference and have the collector see to it."""
    with pytest.warns(ResourceWarning, match="pipe|Pipe"):
        ends.clear()
        gc.collect()


def test_a_dropped_writer_is_not_an_end() -> None:
    """A reader blocked on a writer that was garbage-collected unclosed gets PipeAbandoned."""
    reader, writer = pipe(name="lost")
    ends: list[PipeReader | PipeWriter] = [writer]
    del writer
    reading = start(reader.read)
    wait_until(lambda: reader.statistics().readers_waiting == 1)
    drop(ends)
    reading.error(PipeAbandoned)
    reader.close()


def test_a_dropped_reader_breaks_the_write() -> None:
    """A writer blocked on a reader that was garbage-collected unclosed gets PipeAbandoned, a BrokenPipeError."""
    reader, writer = pipe()
    ends: list[PipeReader | PipeWriter] = [reader]
    del reader
    writing = start(writer.write, b"x")
    wait_until(lambda: writer.statistics().writers_waiting == 1)
    drop(ends)
    assert isinstance(writing.error(PipeAbandoned), BrokenPipeError)
    writer.close()


def test_an_end_dropped_before_anybody_waits() -> None:
    """The order does not matter."""
    reader, writer = pipe(10)
    writer.write(b"half")
    ends: list[PipeReader | PipeWriter] = [writer]
    del writer
    drop(ends)
    with pytest.raises(PipeAbandoned):
        reader.read()
    reader.close()


def test_a_closed_or_aborted_end_is_dropped_in_silence() -> None:
    """No warning for who did what was asked."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reader, writer = pipe()
        reader.close()
        writer.abort()
        del reader, writer
        gc.collect()


def test_ends_do_not_keep_each_other_alive() -> None:
    """Reader and writer share a state, not each other: dropping one frees it without the cyclic collector."""
    reader, writer = pipe()
    gone = weakref.ref(writer)
    gc.disable()
    try:
        with pytest.warns(ResourceWarning):
            del writer
        assert gone() is None
    finally:
        gc.enable()
    with pytest.raises(PipeAbandoned):
        reader.read(1)
    reader.close()


def test_dropping_an_end_while_the_pipe_is_busy_does_not_deadlock() -> None:
    """The collector may run a finalizer in the very thread that is inside the pipe: it takes no lock there."""
    for _ in range(30):
        reader, writer = pipe(8)
        cycle: list[object] = [writer]
        cycle.append(cycle)
        threshold = gc.get_threshold()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            del writer, cycle
            gc.set_threshold(1)
            try:
                reading = start(reader.read, 4)
                for _ in range(20):
                    reader.statistics()
            finally:
                gc.set_threshold(*threshold)
            gc.collect()  # for the case that nothing above made the collector run
            reading.error(PipeAbandoned)
        reader.close()


# --- deadlocks by construction ----------------------------------------------------------------------------------


def test_same_thread_write_then_read_raises_instead_of_deadlocking() -> None:
    """A thread that has read from a rendezvous pipe and then writes to it could only be served by itself."""
    with pipe() as (reader, writer):
        writing = start(writer.write, b"x")
        assert reader.read(1) == b"x"
        writing.result()
        with pytest.raises(WouldDeadlock):
            writer.write(b"y")


def test_same_thread_read_after_write_raises_instead_of_deadlocking() -> None:
    """And the other way round: a thread that has written and then reads."""
    with pipe() as (reader, writer):
        reading = start(reader.read, 1)
        writer.write(b"x")
        assert reading.result() == b"x"
        with pytest.raises(WouldDeadlock):
            reader.read(1)


def test_same_thread_use_is_fine_where_nothing_waits() -> None:
    """A buffered pipe may be written and read by one thread, as long as it fits; the end may be read too."""
    reader, writer = pipe(16)
    for _ in range(3):
        writer.write(b"12345678")
        assert reader.read(8) == b"12345678"
    writer.close()
    assert reader.read() == b""
    reader.close()


def test_a_signal_handler_that_writes_into_the_write_it_interrupted_does_not_hang() -> None:
    """It is served in its turn, or told that it would deadlock."""
    refused: list[WouldDeadlock] = []

    def handler(*_: object) -> None:
        try:
            writer.write(b" and again")
        except WouldDeadlock as error:
            refused.append(error)

    def interrupt_then_read() -> bytes:
        wait_until(lambda: writer.statistics().writers_waiting == 1)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
        wait_until(lambda: refused or writer.statistics().writers_waiting == 2)
        return reader.read(len(b"once") if refused else len(b"once and again"))

    with pipe() as (reader, writer):
        previous = signal.signal(signal.SIGUSR1, handler)
        try:
            interrupting = start(interrupt_then_read)
            assert writer.write(b"once") == 4
            assert interrupting.result() == (b"once" if refused else b"once and again")
        finally:
            signal.signal(signal.SIGUSR1, previous)


def test_a_thread_id_that_is_used_again_is_no_proof_of_a_deadlock() -> None:
    """A reader whose thread has the id of a dead writer may still wait for another writer."""
    with pipe(16) as (reader, writer):
        for _ in range(200):
            wrote = start(writer.write, b"x")
            wrote.result()
            gate = threading.Event()

            def read_two(gate: threading.Event = gate) -> bytes:
                assert gate.wait(PATIENCE)
                return reader.read(2)

            reading = start(read_two)
            if reading.thread.ident == wrote.thread.ident:
                break
            gate.set()
            writer.write(b"y")
            reading.result()
        else:
            pytest.skip("this system did not use a thread id twice")
        began = time.monotonic()
        gate.set()
        wait_until(lambda: reading.done or time.monotonic() > began + 0.2)
        assert not reading.done, "the wait was declared a deadlock"
        writer.write(b"y")
        assert reading.result() == b"xy"


def test_somebody_else_who_holds_the_end_is_no_proof_of_a_deadlock() -> None:
    """A thread that used both ends may wait as long as another thread holds the other end and comes late."""
    with pipe() as (reader, writer):
        feeding = start(writer.write, b"header")
        assert reader.read(6) == b"header"
        feeding.result()
        gate = threading.Event()

        def read_late() -> bytes:
            assert gate.wait(PATIENCE)
            return reader.read(4)

        def open_the_gate_late() -> None:
            wait_until(lambda: writer.statistics().writers_waiting == 1)
            began = time.monotonic()
            wait_until(lambda: time.monotonic() > began + 0.2)
            gate.set()

        reading, opening = start(read_late), start(open_the_gate_late)
        try:
            assert writer.write(b"body") == 4
        finally:
            gate.set()
            opening.join()
        assert reading.result() == b"body"


# --- with the rest of the standard library ----------------------------------------------------------------------


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
