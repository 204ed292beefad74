"""``reading_from`` and ``writing_to``: a reader for code that writes, a writer for code that reads."""

from __future__ import annotations

import io
import threading

import pytest

from penstock.core.pipe import PipeReader, PipeWriter, reading_from, writing_to
from penstock.errors import BrokenError
from tests.core.pipes import BUFFER_SIZES, FailedHalfWay
from tests.core.threads import PATIENCE, start


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
