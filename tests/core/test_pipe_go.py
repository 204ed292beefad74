"""Go's io.Pipe, promise by promise: the thirteen tests of ``src/io/pipe_test.go``, then what its source promises.

Go's tests sleep a millisecond "to increase the probability of a race"; these wait until the other side is known to
be parked. ``Read`` is ``readinto1``/``read1``, ``CloseWithError(err)`` is ``abort(err)``, ``CloseWithError(nil)`` is
leaving a ``with`` block without an exception, ``ErrClosedPipe`` is ``ClosedError`` on one's own side and
``BrokenError`` on the other.
"""

from __future__ import annotations

import gc
import shutil
import tracemalloc
from collections.abc import Callable, Iterable
from io import BytesIO

import pytest

from penstock.core.pipe import PipeReader, PipeWriter, pipe
from penstock.errors import BrokenError, ClosedError
from tests.core.threads import Running, start, wait_until

End = PipeReader | PipeWriter


class ShortWrite(Exception):
    """Stands for Go's io.ErrShortWrite: any error a side may close with."""


def close(end: End, error: Exception | None) -> None:
    end.close()


def leave_with(end: End, error: Exception | None) -> None:
    with end:
        pass


def abort(end: End, error: Exception | None) -> None:
    assert error is not None
    end.abort(error)


def writer_is_parked(writer: PipeWriter, count: int = 1) -> None:
    wait_until(lambda: writer.statistics().writers_waiting == count)


def reader_is_parked(reader: PipeReader, count: int = 1) -> None:
    wait_until(lambda: reader.statistics().readers_waiting == count)


CLOSINGS = pytest.mark.parametrize(
    ("closing", "error"),
    [
        pytest.param(close, None, id="close"),
        pytest.param(leave_with, None, id="close_with_nil"),
        pytest.param(abort, ShortWrite("short write"), id="close_with_error"),
    ],
)
WHEN = pytest.mark.parametrize("parked_first", [True, False], ids=["async", "sync"])


# --- pipe_test.go -----------------------------------------------------------------------------------------------


def test_pipe1_one_write_is_one_read() -> None:
    """One 12-byte write is one 12-byte read into a larger buffer, and both ends close without complaint."""
    reader, writer = pipe()
    writing = start(writer.write, b"hello, world")
    buffer = bytearray(64)
    assert reader.readinto1(buffer) == 12
    assert bytes(buffer[:12]) == b"hello, world"
    assert writing.result() == 12
    reader.close()
    writer.close()


def test_pipe2_sequential_writes_are_as_many_reads() -> None:
    """Five writes of 5, 15, 25, 35, 45 bytes are five reads of those sizes; then the end, with no bytes."""
    reader, writer = pipe()
    sizes = [5, 15, 25, 35, 45]

    def produce() -> None:
        for size in sizes:
            assert writer.write(bytes(range(size))) == size
        writer.close()

    producing = start(produce)
    assert [reader.read1(64) for _ in sizes] == [bytes(range(size)) for size in sizes]
    assert reader.read1(64) == b""
    producing.result()
    reader.close()


def test_pipe3_one_write_serves_many_reads() -> None:
    """One 128-byte write is served by reads of 1, 2, 4..64 bytes and one more; it returns only when all are taken."""
    reader, writer = pipe()
    data = bytes(range(128))
    writing = start(writer.write, data)
    received = b""
    for size in [1, 2, 4, 8, 16, 32, 64]:
        buffer = bytearray(size)
        assert reader.readinto1(buffer) == size
        received += buffer
        assert not writing.done, "the write returned before all of it was taken"
    buffer = bytearray(128)
    assert reader.readinto1(buffer) == 1
    received += buffer[:1]
    assert writing.result() == 128
    writer.close()
    assert reader.readinto1(bytearray(256)) == 0
    assert received == data
    reader.close()


@WHEN
@CLOSINGS
def test_pipe_read_close(
    closing: Callable[[End, Exception | None], None], error: Exception | None, parked_first: bool
) -> None:
    """A writer that closes before or during a blocked read ends it: with the end, or with exactly its error."""
    reader, writer = pipe()
    if parked_first:
        reading = start(reader.read1, 64)
        reader_is_parked(reader)
        closing(writer, error)
    else:
        closing(writer, error)
        reading = start(reader.read1, 64)
    if error is None:
        assert reading.result() == b""
    else:
        assert reading.error(ShortWrite) is error
    reader.close()


def test_pipe_read_close2() -> None:
    """The reader's own close during its blocked read ends that read with ClosedError."""
    reader, writer = pipe()
    reading = start(reader.read1, 64)
    reader_is_parked(reader)
    reader.close()
    reading.error(ClosedError)
    writer.close()


@WHEN
@CLOSINGS
def test_pipe_write_close(
    closing: Callable[[End, Exception | None], None], error: Exception | None, parked_first: bool
) -> None:
    """A reader that closes before or during a blocked write breaks it: BrokenError, or exactly its error."""
    reader, writer = pipe()
    if parked_first:
        writing = start(writer.write, b"hello, world")
        writer_is_parked(writer)
        closing(reader, error)
    else:
        closing(reader, error)
        writing = start(writer.write, b"hello, world")
    if error is None:
        assert writing.error(BrokenError).characters_written == 0
    else:
        assert writing.error(ShortWrite) is error
    writer.close()


def test_pipe_write_close2() -> None:
    """The writer's own close during its blocked write ends that write with ClosedError."""
    reader, writer = pipe()
    writing = start(writer.write, b"hello")
    writer_is_parked(writer)
    writer.close()
    writing.error(ClosedError)
    assert reader.read1(64) == b""
    reader.close()


@pytest.mark.parametrize("nothing", [b"", bytearray(), memoryview(b"")], ids=["bytes", "bytearray", "memoryview"])
def test_write_empty(nothing: bytes) -> None:
    """An empty write followed by a close neither hangs nor corrupts: the reader comes to the end."""
    reader, writer = pipe()

    def produce() -> None:
        assert writer.write(nothing) == 0
        writer.close()

    producing = start(produce)
    assert reader.read(2) == b""
    producing.result()
    reader.close()


def test_write_nil() -> None:
    """An empty write between two others is invisible: read(n) fills across it."""
    reader, writer = pipe()

    def produce() -> None:
        writer.write(b"a")
        writer.write(b"")
        writer.write(b"b")
        writer.close()

    producing = start(produce)
    assert reader.read(2) == b"ab"
    assert reader.read(2) == b""
    producing.result()
    reader.close()


def test_write_after_writer_close() -> None:
    """All of a finished write arrives before the end; a write after one's own close is a ClosedError."""
    reader, writer = pipe()

    def produce() -> int:
        written = writer.write(b"hello")
        writer.close()
        with pytest.raises(ClosedError):
            writer.write(b"world")
        return written

    producing = start(produce)
    assert reader.read() == b"hello"
    assert producing.result() == 5
    reader.close()


def test_pipe_close_error_first_wins_for_the_writer() -> None:
    """Of two errors a reader aborts with, the writer sees the first, even in an empty write."""
    reader, writer = pipe()
    first, second = ShortWrite("first"), ShortWrite("second")
    reader.abort(first)
    reader.abort(second)
    for data in (b"", b"x"):
        with pytest.raises(ShortWrite) as caught:
            writer.write(data)
        assert caught.value is first
    writer.close()


def test_pipe_close_error_first_wins_for_the_reader() -> None:
    """Of two errors a writer aborts with, the reader sees the first, even in a read of nothing."""
    reader, writer = pipe()
    first, second = ShortWrite("first"), ShortWrite("second")
    writer.abort(first)
    writer.abort(second)
    reads: Iterable[Callable[[], object]] = (
        lambda: reader.read(0),
        lambda: reader.read1(0),
        lambda: reader.readinto(bytearray()),
        lambda: reader.readinto1(bytearray()),
        lambda: reader.read(1),
        reader.read,
        reader.readline,
    )
    for read in reads:
        with pytest.raises(ShortWrite) as caught:
            read()
        assert caught.value is first
    reader.close()


COUNT, INPUT, READ_SIZE = 8, b"0123456789abcdef", 2


def test_pipe_concurrent_write() -> None:
    """Eight threads write 16 bytes each while reads take two: every write's bytes stay together."""
    reader, writer = pipe()
    writings = [start(writer.write, INPUT) for _ in range(COUNT)]
    received = b""
    while len(received) < COUNT * len(INPUT):
        received += reader.read1(READ_SIZE)
    assert received == INPUT * COUNT
    assert [writing.result() for writing in writings] == [len(INPUT)] * COUNT
    writer.close()
    reader.close()


def test_pipe_concurrent_read() -> None:
    """Sixty-four threads read two bytes each of eight writes: the pairs are a permutation, none lost, none twice."""
    reader, writer = pipe()
    readings = [start(reader.read1, READ_SIZE) for _ in range(COUNT * len(INPUT) // READ_SIZE)]
    for _ in range(COUNT):
        assert writer.write(INPUT) == len(INPUT)
    received = sorted(reading.result() for reading in readings)
    pairs = [INPUT[at : at + READ_SIZE] for at in range(0, len(INPUT), READ_SIZE)]
    assert received == sorted(pairs * COUNT)
    writer.close()
    reader.close()


def test_pipe_allocations() -> None:
    """A pipe is cheap to make: a handful of objects and under four KiB (Go allows four allocations)."""
    with pipe():  # whatever is made once only
        count = 64
    gc.collect()
    gc.disable()
    try:
        tracemalloc.start()
        objects_before, bytes_before = len(gc.get_objects()), tracemalloc.get_traced_memory()[0]
        pairs = [tuple(pipe()) for _ in range(count)]
        objects, size = len(gc.get_objects()) - objects_before, tracemalloc.get_traced_memory()[0] - bytes_before
    finally:
        tracemalloc.stop()
        gc.enable()
    for reader, writer in pairs:
        reader.close()
        writer.close()
    assert objects / count <= 16
    assert size / count <= 4096


# --- pipe.go: promised by the source and its comments, not tested by Go -----------------------------------------


def test_d1_write_blocks_until_reads_have_taken_all_of_it() -> None:
    """D1: without a buffer a write waits for its very last byte to be taken."""
    reader, writer = pipe()
    writing = start(writer.write, b"abc")
    writer_is_parked(writer)
    assert reader.read1(2) == b"ab"
    writer_is_parked(writer)
    assert reader.read1(2) == b"c"
    assert writing.result() == 3
    writer.close()
    reader.close()


def test_d1_closing_the_read_end_ends_the_write() -> None:
    """D1: or until the read end is closed."""
    reader, writer = pipe()
    writing = start(writer.write, b"abc")
    writer_is_parked(writer)
    reader.close()
    writing.error(BrokenError)
    writer.close()


@pytest.mark.parametrize("error", [None, ShortWrite("short write")], ids=["close", "abort"])
def test_d2_a_read_looks_at_closing_before_it_looks_for_a_writer(error: Exception | None) -> None:
    """D2: what a still blocked write offers is not read once the pipe's write end has closed."""
    reader, writer = pipe()
    writing = start(writer.write, b"never seen")
    writer_is_parked(writer)
    if error is None:
        writer.close()
        assert reader.read1(64) == b""
    else:
        writer.abort(error)
        with pytest.raises(ShortWrite) as caught:
            reader.read1(64)
        assert caught.value is error
    writing.error(ClosedError)
    reader.close()


def test_d3_the_side_that_closed_itself_always_gets_closed_error() -> None:
    """D3: one's own close wins over the peer's error, whichever came first."""
    for own_first in (True, False):
        reader, writer = pipe()
        steps: list[Callable[[], None]] = [reader.close, lambda: writer.abort(ShortWrite())]  # noqa: B023
        for step in steps if own_first else reversed(steps):
            step()
        with pytest.raises(ClosedError):
            reader.read1(1)
        with pytest.raises(ClosedError):
            writer.write(b"x")


def test_d3_else_the_peers_error_else_the_plain_end() -> None:
    """D3: who has not closed gets the peer's error, or the end when reading and BrokenError when writing."""
    reader, writer = pipe()
    writer.close()
    assert reader.read1(1) == b""
    reader.close()

    reader, writer = pipe()
    reader.close()
    with pytest.raises(BrokenError):
        writer.write(b"x")
    writer.close()


def test_d4_closing_never_fails_and_never_overwrites() -> None:
    """D4: close and abort are idempotent in every order, and the first of them is the one that counts."""
    reader, writer = pipe()
    writer.close()
    writer.close()
    writer.abort(ShortWrite("too late"))
    assert reader.read() == b""
    reader.close()
    reader.close()

    reader, writer = pipe()
    error = ShortWrite("first")
    writer.abort(error)
    writer.close()
    with pytest.raises(ShortWrite) as caught:
        reader.read()
    assert caught.value is error
    reader.abort(ShortWrite("second"))
    reader.close()


@pytest.mark.parametrize("side", ["reader", "writer"])
def test_d5_closing_either_end_wakes_every_blocked_reader(side: str) -> None:
    """D5: several blocked reads all end when either end closes."""
    reader, writer = pipe()
    readings = [start(reader.read1, 1) for _ in range(3)]
    reader_is_parked(reader, 3)
    (reader if side == "reader" else writer).close()
    for reading in readings:
        if side == "reader":
            reading.error(ClosedError)
        else:
            assert reading.result() == b""
    reader.close()
    writer.close()


@pytest.mark.parametrize("side", ["reader", "writer"])
def test_d5_closing_either_end_wakes_every_blocked_writer(side: str) -> None:
    """D5: the write on offer and those queued behind it all end when either end closes."""
    reader, writer = pipe()
    writings = [start(writer.write, b"x") for _ in range(3)]
    writer_is_parked(writer, 3)
    (reader if side == "reader" else writer).close()
    for writing in writings:
        error = writing.error(BrokenError if side == "reader" else ClosedError)
        assert error.characters_written == 0
    reader.close()
    writer.close()


def partial_write() -> tuple[PipeReader, PipeWriter, Running[int]]:
    """A pipe whose blocked write of ten bytes has had three of them taken."""
    reader, writer = pipe()
    writing = start(writer.write, b"0123456789")
    assert reader.read(3) == b"012"
    writer_is_parked(writer)
    return reader, writer, writing


def test_d6_partial_write_broken_by_close_says_how_much_was_taken() -> None:
    """D6: a write whose reader closes half-way reports the bytes taken in ``characters_written``."""
    reader, writer, writing = partial_write()
    reader.close()
    assert writing.error(BrokenError).characters_written == 3
    writer.close()


def test_d6_partial_write_broken_by_abort_says_how_much_was_taken() -> None:
    """D6: also on the reader's own exception, which the writer raises as the same object."""
    reader, writer, writing = partial_write()
    cause = ShortWrite("enough")
    reader.abort(cause)
    error = writing.error(ShortWrite)
    assert error is cause
    assert error.characters_written == 3  # type: ignore[attr-defined]
    writer.close()


def test_d6_partial_write_ended_by_its_own_close_says_how_much_was_taken() -> None:
    """D6: also when another thread closed the writer's own end."""
    reader, writer, writing = partial_write()
    writer.close()
    assert writing.error(ClosedError).characters_written == 3  # type: ignore[attr-defined]
    reader.close()


def test_d7_ack_beats_close() -> None:
    """D7: once a read has taken the bytes the write succeeds, even if the reader closes at once."""
    for _ in range(50):
        reader, writer = pipe()
        writing = start(writer.write, b"taken")
        writer_is_parked(writer)
        assert reader.read1(64) == b"taken"
        reader.close()
        assert writing.result() == 5
        writer.close()


def test_d8_read_write_and_close_may_run_in_parallel() -> None:
    """D8: readers, writers and a closer in parallel: no hang, and every byte taken was written, once."""
    for _ in range(20):
        reader, writer = pipe()

        def write_all(mark: int, writer: PipeWriter = writer) -> int:
            written = 0
            try:
                for _ in range(50):
                    written += writer.write(bytes([mark]) * 3)
            except (BrokenError, ClosedError) as error:
                written += error.characters_written  # type: ignore[union-attr]
            return written

        def read_all(reader: PipeReader = reader) -> bytes:
            received = b""
            while len(received) < 120 and (data := reader.read1(2)):
                received += data
            return received

        writings = [start(write_all, mark) for mark in (1, 2)]
        readings = [start(read_all) for _ in range(2)]
        received = b"".join(reading.result() for reading in readings)
        reader.close()
        written = [writing.result() for writing in writings]
        assert [received.count(1), received.count(2)] == written
        writer.close()


def test_d9_a_queued_writer_looks_again_before_it_offers() -> None:
    """D9: a write queued behind another, whose turn comes after the close, is not offered."""
    reader, writer = pipe()
    first = start(writer.write, b"first")
    writer_is_parked(writer)
    second = start(writer.write, b"second")
    writer_is_parked(writer, 2)
    assert reader.read1(64) == b"first"
    assert first.result() == 5
    writer.close()
    second.error(ClosedError)
    assert reader.read1(64) == b""
    reader.close()


def test_d10_the_writers_buffer_is_free_when_write_returns() -> None:
    """D10: a producer may refill one buffer for every write; each read sees what was in it then."""
    reader, writer = pipe()

    def produce() -> None:
        buffer = bytearray(4)
        for number in range(200):
            buffer[:] = number.to_bytes(4, "big")
            writer.write(buffer)
        writer.close()

    producing = start(produce)
    data = reader.read()
    assert [int.from_bytes(data[at : at + 4], "big") for at in range(0, len(data), 4)] == list(range(200))
    producing.result()
    reader.close()


# --- notes for Python -------------------------------------------------------------------------------------------


def test_n1_an_empty_write_never_looks_like_the_end() -> None:
    """N1: a blocked read sleeps through an empty write, and copyfileobj does not stop at one."""
    reader, writer = pipe()
    sink = BytesIO()
    copying = start(shutil.copyfileobj, reader, sink)
    reader_is_parked(reader)
    assert writer.write(b"") == 0
    assert not copying.done
    assert writer.write(b"after it") == 8
    writer.close()
    copying.result()
    assert sink.getvalue() == b"after it"
    reader.close()


def test_n1_an_empty_write_does_not_wait_for_a_reader() -> None:
    """N1: it returns at once with no reader in sight, unlike Go's."""
    reader, writer = pipe()
    assert writer.write(b"") == 0
    writer.close()
    reader.close()


def test_n2_the_reader_does_not_read_ahead() -> None:
    """N2: ``read(1)`` takes one byte and no more, so the writer of two still waits."""
    reader, writer = pipe()
    writing = start(writer.write, b"ab")
    assert reader.read(1) == b"a"
    writer_is_parked(writer)
    assert reader.statistics().bytes_read == 1
    assert reader.read(1) == b"b"
    assert writing.result() == 2
    writer.close()
    reader.close()


def test_n3_an_offered_bytearray_cannot_be_resized_until_write_returns() -> None:
    """N3: resizing a bytearray on offer is a BufferError; afterwards it is free again, however the write ended."""
    reader, writer = pipe()
    for ending in (lambda: reader.read(4), reader.close):
        buffer = bytearray(b"abcd")
        writing = start(writer.write, buffer)
        writer_is_parked(writer)
        with pytest.raises(BufferError):
            buffer.append(0)
        ending()
        writing.join()
        buffer.append(0)
    writing.error(BrokenError)
    writer.close()
