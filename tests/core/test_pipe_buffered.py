"""Pipes with a buffer: what fits does not wait, what does not fit waits, nothing is mixed up."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

import pytest

from penstock.core.pipe import pipe
from penstock.errors import BrokenError, ClosedError
from tests.core.pipes import FailedHalfWay, feed
from tests.core.threads import start, wait_until


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


@pytest.mark.parametrize("kind", [bytes, bytearray])
@pytest.mark.parametrize("how", ["close", "abort"])
@pytest.mark.parametrize("side", ["reader", "writer"])
def test_no_write_succeeds_after_the_end(side: str, how: str, kind: Callable[[bytes], bytes]) -> None:
    """Of several writes blocked on a buffered pipe none returns once a side has ended, though there were room now."""
    reader, writer = pipe(1)
    stack = contextlib.ExitStack()
    stack.callback(reader.close)
    stack.callback(writer.close)
    reading = start(reader.read, 1)
    wait_until(lambda: reader.statistics().readers_waiting == 1)
    first = start(writer.write, kind(b"abc"))
    assert reading.result() == b"a"
    wait_until(lambda: writer.statistics().writers_waiting == 1)
    second = start(writer.write, kind(b"z"))
    wait_until(lambda: writer.statistics().writers_waiting == 2)
    end, error = (reader if side == "reader" else writer), FailedHalfWay()
    end.close() if how == "close" else end.abort(error)
    expected = ClosedError if side == "writer" else FailedHalfWay if how == "abort" else BrokenError
    with stack:
        first.error(expected)
        second.error(expected)
