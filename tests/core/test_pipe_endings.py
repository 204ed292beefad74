"""How a pipe ends: abort, close while an exception is in flight, ends that are dropped. Never a clean end by mistake."""

from __future__ import annotations

import gc
import threading
import warnings
import weakref

import pytest

from penstock.core.pipe import PipeReader, PipeWriter, pipe
from penstock.errors import BrokenError, Cancelled, ClosedError, PipeAbandoned
from tests.core.pipes import FailedHalfWay
from tests.core.threads import PATIENCE, start, wait_until

# --- abort -------------------------------------------------------------------------------------------------------------


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


# --- close while an exception is in flight -----------------------------------------------------------------------------


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


# --- abandoned ends ----------------------------------------------------------------------------------------------------


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


def test_dropping_an_end_while_the_pipe_is_busy_does_not_deadlock(request: pytest.FixtureRequest) -> None:
    """The collector may run a finalizer in the very thread that is inside the pipe: it takes no lock there."""
    gc.collect()
    gc.freeze()  # the collector, which is to run at every step, need not look at everything else each time
    request.addfinalizer(gc.unfreeze)
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


def test_an_exception_that_is_falsy_is_a_failure_all_the_same() -> None:
    """What aborts is that there is an exception, not what bool() says of it."""

    class Empty(Exception):
        def __len__(self) -> int:
            return 0

    error = Empty()
    reader, writer = pipe(16)
    try:
        raise error
    except Empty:
        writer.close()
    with pytest.raises(Empty) as caught:
        reader.read()
    assert caught.value is error
    reader.close()
