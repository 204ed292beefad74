"""The link that passes Arrow batches between two stages: a short queue, which wide batches empty."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, final

from penstock._extras import need
from penstock.core.channel import ReceiveChannel, SendChannel, channel
from penstock.engines.links import LinkState
from penstock.engines.stopwatch import Stopwatch
from penstock.flow.contracts import BatchStream

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["BatchLink"]

_WAITING = 2
"""How many batches may wait. Who writes a row group of Parquet takes several at once and then none for a while."""


@final
class BatchLink:
    """Passes Arrow batches from the source's thread to the encoder's.

    While one batch is encoded and another one is read, at most two wait. After a wide batch nothing is read until the
    encoder has finished with it and asks for more. The schema goes ahead of the batches, so that even an empty result
    has a header.

    Args:
        wide_bytes: batches of more bytes are wide. Sources cut batches smaller, so these hold a single row, or nearly.
        name: the link's name in messages.
    """

    def __init__(self, *, wide_bytes: int, name: str) -> None:
        self._wide_bytes = wide_bytes
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
            self._put(batch)
            del batch  # or it would be kept alive while the next one is read
            if size > self._wide_bytes:
                with self._write_blocked:
                    self._send_done.send(None)
                _give_back()

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
        batches = iter(self._receive)
        while True:
            with self._read_blocked:
                item = next(batches, None)
            if item is None:
                return
            batch: pa.RecordBatch = item  # type: ignore[assignment]  # feed() puts nothing else
            self._bytes_out += batch.nbytes
            self._rows_out += batch.num_rows
            is_wide = batch.nbytes > self._wide_bytes
            del item
            yield batch
            del batch  # or it would be kept alive while the next one is waited for
            if is_wide:
                with self._read_blocked:
                    self._receive_done.receive()

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


def _end(end: SendChannel[Any] | ReceiveChannel[Any], error: BaseException | None) -> None:
    if error is None:
        end.close()
    else:
        end.abort(error)


def _give_back() -> None:
    """Make Arrow return free memory to the system; called in the thread that had allocated it."""
    need("pyarrow", extra="arrow", why="hold tables").default_memory_pool().release_unused()


class _HandedOver:
    """The encoder's view of a :class:`BatchLink`."""

    def __init__(self, link: BatchLink) -> None:
        self._link = link
        self.schema = link.take_schema()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self._link.take_batches()
