"""A link for batches: how many there are at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pyarrow as pa
import pytest

from penstock.core.cancel import CancelScope
from penstock.engines.batch_link import BatchLink
from penstock.errors import BrokenError
from tests.core.threads import PATIENCE, start, wait_until

SCHEMA = pa.schema([("t", pa.string())])
WIDE_BYTES = 100


def batch(size: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array(["x" * size])], schema=SCHEMA)


class Reading:
    """Batches that are noted when they are asked for."""

    def __init__(self, *sizes: int) -> None:
        self.asked_for: list[int] = []
        self._sizes = sizes

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for size in self._sizes:
            self.asked_for.append(size)
            yield batch(size)
        self.asked_for.append(0)


def test_beside_a_narrow_batch_the_next_ones_are_read() -> None:
    """One is worked on, two wait, one is ready, so that source and encoder both have something to do; and no more."""
    link, reading = BatchLink(wide_bytes=WIDE_BYTES, name="test"), Reading(10, 20, 30, 40, 50, 60)
    feeding = start(lambda: link.feed(SCHEMA, reading))
    batches = iter(link.batches())
    assert next(batches).num_rows == 1
    wait_until(lambda: reading.asked_for == [10, 20, 30, 40])
    feeding.wait_parked()
    assert reading.asked_for == [10, 20, 30, 40]
    assert len(list(_ended(link, feeding, batches))) == 5


def test_small_batches_that_wait_are_taken_as_one() -> None:
    """In order, up to a quarter of an ordinary batch; one that comes alone does not wait for long."""
    link, has_one = BatchLink(wide_bytes=800, name="test", joins=True), threading.Event()
    sizes = [*range(1, 41), 300, *range(1, 6)]

    def reading() -> Iterator[pa.RecordBatch]:
        yield batch(sizes[0])
        has_one.wait(PATIENCE)
        yield from map(batch, sizes[1:])

    feeding = start(lambda: link.feed(SCHEMA, reading()))
    batches = iter(link.batches())
    taken = [next(batches)]
    has_one.set()
    feeding.wait_parked()
    taken += _ended(link, feeding, batches)
    assert [len(text) for each in taken for text in each["t"].to_pylist()] == sizes
    assert [each.num_rows for each in taken[:2]] == [1, 9]
    assert all(each.nbytes <= 100 or each.num_rows == 1 for each in taken)
    assert link.rows == len(sizes)
    assert link.state().bytes_in == link.state().bytes_out


def test_where_batches_are_seen_they_stay_as_they_are() -> None:
    """A table takes them one by one."""
    link = BatchLink(wide_bytes=800, name="test")
    feeding = start(lambda: link.feed(SCHEMA, Reading(*range(1, 41))))
    batches = iter(link.batches())
    feeding.wait_parked()
    assert [each.num_rows for each in _ended(link, feeding, batches)] == [1] * 40


def test_batches_of_another_schema_are_not_joined() -> None:
    """They come as they were given, for the encoder to refuse."""
    other = pa.RecordBatch.from_pydict({"other": [1]})
    link = BatchLink(wide_bytes=8000, name="test", joins=True)
    feeding = start(lambda: link.feed(SCHEMA, [batch(1), other]))
    feeding.result()
    batches = iter(link.batches())
    assert list(_ended(link, feeding, batches)) == [batch(1), other]


def test_small_batches_do_not_outlive_a_cancel_or_the_encoder() -> None:
    """Adding one to those that wait needs no waiting, and still ends when it should."""

    def endless() -> Iterator[pa.RecordBatch]:
        while True:
            yield batch(1)

    link = BatchLink(wide_bytes=1 << 40, name="test", joins=True)
    call = CancelScope()
    feeding = start(lambda: _under(call, lambda: link.feed(SCHEMA, endless())))
    wait_until(lambda: link.state().bytes_in > 1000)
    call.cancel()
    feeding.result()
    assert call.cancelled_caught
    feeding = start(lambda: link.feed(SCHEMA, endless()))
    link.end_reading(OSError("no more"))
    with pytest.raises(OSError, match="no more"):
        feeding.result()
    link.end_writing(None)


def test_beside_a_wide_batch_nothing_is_read() -> None:
    """Not before the encoder asks for what comes next, which it does when it has done with the batch."""
    link, reading = BatchLink(wide_bytes=WIDE_BYTES, name="test"), Reading(1000, 10, 2000, 20)
    feeding = start(lambda: link.feed(SCHEMA, reading))
    batches = iter(link.batches())
    assert next(batches).nbytes > WIDE_BYTES
    feeding.wait_parked()
    assert reading.asked_for == [1000]
    assert next(batches).nbytes < WIDE_BYTES
    wait_until(lambda: reading.asked_for == [1000, 10, 2000])
    assert next(batches).nbytes > WIDE_BYTES
    feeding.wait_parked()
    assert reading.asked_for == [1000, 10, 2000]
    assert len(list(_ended(link, feeding, batches))) == 1
    assert link.rows == 4
    assert link.state().bytes_in == link.state().bytes_out


@pytest.mark.parametrize("error", [None, OSError("no more")])
def test_a_source_that_waits_after_a_wide_batch_notices_that_the_encoder_ends(error: OSError | None) -> None:
    """It gets the error, or one that says that nobody reads."""
    link = BatchLink(wide_bytes=WIDE_BYTES, name="test")
    feeding = start(lambda: link.feed(SCHEMA, Reading(1000, 10)))
    assert next(iter(link.batches())).nbytes > WIDE_BYTES
    feeding.wait_parked()
    link.end_reading(error)
    with pytest.raises(BrokenError if error is None else OSError):
        feeding.result()
    link.end_writing(None)


def test_an_encoder_that_has_done_with_a_wide_batch_gets_the_error_that_follows() -> None:
    """Not the end of the stream."""
    link = BatchLink(wide_bytes=WIDE_BYTES, name="test")

    def failing() -> Iterator[pa.RecordBatch]:
        yield batch(1000)
        raise OSError("the source is gone")

    feeding = start(lambda: link.feed(SCHEMA, failing()))
    batches = iter(link.batches())
    assert next(batches).nbytes > WIDE_BYTES
    asking = start(lambda: next(batches))
    with pytest.raises(OSError, match="gone") as caught:
        feeding.result()
    link.end_writing(caught.value)
    with pytest.raises(OSError, match="gone"):
        asking.result()
    link.end_reading(None)


@pytest.mark.parametrize("size", [10, 1000])
def test_neither_end_holds_on_to_a_batch_it_has_given_away(size: int) -> None:
    """While the next one is waited for, a wide batch would be memory for nothing."""
    import weakref

    link = BatchLink(wide_bytes=WIDE_BYTES, name="test")
    given = []

    def reading() -> Iterator[pa.RecordBatch]:
        for _ in range(3):
            made = batch(size)
            given.append(weakref.ref(made))
            yield made
            del made

    feeding = start(lambda: link.feed(SCHEMA, reading()))
    batches = iter(link.batches())
    taken = next(batches)
    del taken
    second = next(batches)
    assert given[0]() is None
    assert second is given[1]()
    del second
    assert len(list(_ended(link, feeding, batches))) == 1


def _under(scope: CancelScope, call: Callable[[], None]) -> None:
    with scope:
        call()


def _ended(link: BatchLink, feeding: object, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """End the stream when it has all been fed, and yield the rest."""
    closing = start(lambda: (feeding.result(), link.end_writing(None)))  # type: ignore[attr-defined]
    yield from batches
    closing.result()
    link.end_reading(None)
