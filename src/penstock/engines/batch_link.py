"""The link that passes Arrow batches between two stages: a short queue, which wide batches empty."""

from __future__ import annotations

import _thread
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

from penstock._extras import need
from penstock.core.cancel import check_cancelled, sleep
from penstock.core.channel import ReceiveChannel, SendChannel, channel
from penstock.engines.links import LinkState
from penstock.engines.stopwatch import Stopwatch
from penstock.flow.contracts import BatchStream

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["BatchLink"]

_WAITING = 2
"""How many batches may wait. Who writes a row group of Parquet takes several at once and then none for a while."""

_JOINED_SHARE = 8
"""Small batches are joined up to this fraction (1/8) of a wide one, a quarter of the size that sources aim at."""

_FEW = 4
"""With less than this fraction (1/4) of that, the encoder waits for more."""

_COMPANY_SECONDS = 0.001
"""How long it waits. Without it, it takes tiny batches one by one as fast as they come, each at the cost of a large one."""


@final
class BatchLink:
    """Passes Arrow batches from the source's thread to the encoder's.

    While one batch is encoded and another one is read, at most two wait. After a wide batch nothing is read until the
    encoder has finished with it and asks for more. The schema goes ahead of the batches, so that even an empty result
    has a header.

    Handing over and encoding a batch takes some hundred microseconds, however few rows it has. So small ones that wait are
    joined, and taken as one, where ``joins`` says so. One that comes alone is held back for a millisecond.

    Args:
        wide_bytes: batches of more bytes are wide. Sources cut batches smaller, so these hold a single row, or nearly.
        name: the link's name in messages.
        joins: whether small batches are joined, because nobody sees how rows are divided into batches.
    """

    def __init__(self, *, wide_bytes: int, name: str, joins: bool = False) -> None:
        self._wide_bytes = wide_bytes
        self._joined_bytes = wide_bytes // _JOINED_SHARE if joins else 0
        self._joining = _thread.allocate_lock()
        self._last = _Waiting()
        self._send: SendChannel[object]
        self._receive: ReceiveChannel[object]
        self._send, self._receive = channel(_WAITING, name=name)
        self._send_done: SendChannel[None]
        self._receive_done: ReceiveChannel[None]
        self._send_done, self._receive_done = channel(0, name=f"{name}, after a wide batch")
        self._bytes_in = 0
        self._bytes_out = 0
        self._rows_out = 0
        self._write_blocked = Stopwatch()
        self._read_blocked = Stopwatch()
        self._write_closed = False
        self._read_closed = False

    @property
    def rows(self) -> int:
        """How many rows have been passed so far."""
        return self._rows_out

    def feed(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
        """Pass the schema and every batch. Blocks while the encoder is busy."""
        self._put(schema)
        for batch in batches:
            size = batch.nbytes
            self._bytes_in += size
            if not self._join(batch, size):
                self._last = _Waiting([batch], size)
                self._put(self._last)
            del batch  # or it would be kept alive while the next one is read
            if size > self._wide_bytes:
                with self._write_blocked:
                    self._send_done.send(None)
                _give_back()

    def _join(self, batch: pa.RecordBatch, size: int) -> bool:
        """Add a small batch to the last one that waits; False if none does, it would be too much, or nobody reads."""
        check_cancelled()
        with self._joining:
            last = self._last
            fits = size > 0 and last.size > 0 and last.size + size <= self._joined_bytes
            if fits and not self._read_closed:
                last.batches.append(batch)
                last.size += size
                return True
        return False

    def _put(self, item: object) -> None:
        with self._write_blocked:
            self._send.send(item)

    def batches(self) -> BatchStream:
        """Return the other end as a batch stream. Blocks until the schema has come."""
        return _HandedOver(self)

    def take_schema(self) -> pa.Schema:
        """Take the schema, which is passed first. Blocks until it has come."""
        with self._read_blocked:
            schema: pa.Schema = self._receive.receive()  # type: ignore[assignment]  # feed() puts it first
        return schema

    def take_batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the batches until the source has ended; raise its error if it has failed."""
        handed_over = iter(self._receive)
        while True:
            with self._read_blocked:
                item = next(handed_over, None)
            if item is None:
                return
            waiting: _Waiting = item  # type: ignore[assignment]  # feed() puts nothing else
            size, batches = self._taken(waiting)
            self._bytes_out += size
            while batches:
                batch = batches.pop(0)
                self._rows_out += batch.num_rows
                yield batch
                del batch  # or it would be kept alive while the next one is waited for
            if size > self._wide_bytes:
                with self._read_blocked:
                    self._receive_done.receive()

    def _taken(self, waiting: _Waiting) -> tuple[int, list[pa.RecordBatch]]:
        """Take what waits, and what comes within a moment if that is little; return its bytes, and it as one batch."""
        if waiting.size < self._joined_bytes // _FEW:
            with self._read_blocked:
                sleep(_COMPANY_SECONDS)
        with self._joining:
            size, waiting.size = waiting.size, 0  # from here on nothing is added to it
        return size, _as_one(waiting.batches)

    def state(self) -> LinkState:
        """Describe the link as it is now."""
        return LinkState(
            bytes_in=self._bytes_in,
            bytes_out=self._bytes_out,
            writer_waiting=self._write_blocked.running,
            reader_waiting=self._read_blocked.running,
            write_blocked_seconds=self._write_blocked.seconds,
            read_blocked_seconds=self._read_blocked.seconds,
            write_closed=self._write_closed,
            read_closed=self._read_closed,
        )

    def end_writing(self, error: BaseException | None) -> None:
        """End the stream, with ``error`` if there is one."""
        self._write_closed = True
        for end in (self._send, self._send_done):
            _end(end, error)

    def end_reading(self, error: BaseException | None) -> None:
        """Close the read end."""
        self._read_closed = True
        for end in (self._receive, self._receive_done):
            _end(end, error)


@dataclass(slots=True)
class _Waiting:
    """Batches that wait to be taken together.

    Attributes:
        batches: one, or several small ones.
        size: their bytes; 0 when they have been taken.
    """

    batches: list[pa.RecordBatch] = field(default_factory=list)
    size: int = 0


def _as_one(batches: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """Join batches; return them as they are if they are not of one schema, which the encoder is to say."""
    if len(batches) == 1:
        return batches
    arrow = _pyarrow()
    try:
        return [arrow.concat_batches(batches)]
    except arrow.ArrowException:
        return batches


def _end(end: SendChannel[Any] | ReceiveChannel[Any], error: BaseException | None) -> None:
    if error is None:
        end.close()
    else:
        end.abort(error)


def _give_back() -> None:
    """Have Arrow give back to the system what it keeps of the memory that is free now, in the thread that had it."""
    _pyarrow().default_memory_pool().release_unused()


def _pyarrow() -> Any:
    return need("pyarrow", extra="arrow", why="hold tables")


class _HandedOver:
    """The encoder's view of a :class:`BatchLink`."""

    def __init__(self, link: BatchLink) -> None:
        self._link = link
        self.schema = link.take_schema()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self._link.take_batches()
