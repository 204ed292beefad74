"""Read Arrow IPC, file or stream, from beginning to end, and refuse data without its end mark."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from penstock.errors import BudgetExceeded, SourceError
from penstock.flow.decimals import unwritable_decimal
from penstock.flow.sizes import joined
from penstock.flow.units import format_bytes
from penstock.flow.views import without_views, without_views_in
from penstock.formats._arrow import pyarrow
from penstock.formats._lent import LentStream
from penstock.formats._schemas import check_schema
from penstock.formats._sizes import pieces

if TYPE_CHECKING:
    import pyarrow as pa

    from penstock.flow.contracts import ByteReader

__all__ = ["ArrowDecoder"]

_FILE_START = b"ARROW1\0\0"
_FILE_END = b"ARROW1"
_MESSAGE_START = b"\xff\xff\xff\xff"
_STREAM_END = b"\xff\xff\xff\xff\0\0\0\0"
_CHUNK_BYTES = 64 << 10
_CUT_SHORT = "the data was cut short; get it complete"


class ArrowDecoder:
    """The batches of one stream or file. Use it as a context manager, which closes Arrow's reader."""

    def __init__(self, stream: ByteReader, schema: pa.Schema | None, *, batch_bytes: int, max_batch_bytes: int) -> None:
        start = stream.read(len(_FILE_START))
        self._is_file = start == _FILE_START
        if not start:
            raise SourceError("empty, where Arrow data should be", hint=_CUT_SHORT)
        if not self._is_file and not start.startswith(_MESSAGE_START[: len(start)]):
            raise SourceError(
                "it does not begin as Arrow data does", hint="is it Arrow IPC at all, of version 0.15 or later?"
            )
        self._bytes = _Limited(stream, b"" if self._is_file else start, max_batch_bytes)
        self._batch_bytes = batch_bytes
        with self._reading():
            self._reader: Any = pyarrow().ipc.open_stream(pyarrow().PythonFile(self._bytes, "r"))
        if (problem := unwritable_decimal(self._reader.schema)) is not None:
            raise SourceError(problem, hint="cast it to a larger decimal, or to text, where it is written")
        self.schema: pa.Schema = without_views(self._reader.schema)
        check_schema(self.schema, schema)

    def __enter__(self) -> ArrowDecoder:
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self._reader.close()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        # A stream may come from somebody who writes a batch now and then, and no batch waits for the next.
        for batch in joined(self._plain(), self.schema) if self._is_file else self._plain():
            yield from pieces(batch, self._batch_bytes)
            del batch  # or it would be kept alive while the next one is read
        self._check_end()

    def _plain(self) -> Iterator[pa.RecordBatch]:
        while (batch := self._next()) is not None:
            yield from without_views_in(batch, self.schema, self._batch_bytes)
            del batch  # as above

    def _next(self) -> pa.RecordBatch | None:
        with self._reading():
            try:
                batch: pa.RecordBatch = self._reader.read_next_batch()
            except StopIteration:
                return None
        return batch

    def _check_end(self) -> None:
        if self._bytes.last != _STREAM_END:
            raise SourceError(
                f"the Arrow data stops after {self._bytes.position} bytes, before its end", hint=_CUT_SHORT
            )
        if self._is_file:
            last = b""
            while chunk := self._bytes.read(_CHUNK_BYTES):
                last = (last + chunk)[-len(_FILE_END) :]
            if last != _FILE_END:
                raise SourceError("the Arrow file stops inside its table of contents", hint=_CUT_SHORT)
        elif self._bytes.read(1):
            raise SourceError("the Arrow stream goes on after its end", hint="are there two, one after the other?")

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """A block in which errors of Arrow become ours, while those of the stream pass unchanged."""
        try:
            yield
        except (pyarrow().ArrowException, OSError) as exc:
            if exc is self._bytes.error:
                raise
            position = self._bytes.position
            if self._bytes.ended:
                raise SourceError(
                    f"the Arrow data stops after {position} bytes, before its end", hint=_CUT_SHORT
                ) from exc
            raise SourceError(
                f"damaged Arrow data within its first {position} bytes: {exc}", hint="is it Arrow IPC at all?"
            ) from exc


class _Limited(LentStream):
    """A reader that remembers the last bytes it returned, and returns no more at once than a batch may have."""

    def __init__(self, stream: ByteReader, start: bytes, max_bytes: int) -> None:
        super().__init__(stream, start)
        self._max_bytes = max_bytes
        self.last = b""
        self.ended = False

    def read(self, size: int = -1, /) -> bytes:
        if size > self._max_bytes:
            raise self._too_large(size)
        data = super().read(size)
        self.ended = len(data) < size
        self.last = (self.last + data[-len(_STREAM_END) :])[-len(_STREAM_END) :]
        return data

    def _too_large(self, size: int) -> BudgetExceeded:
        self.error = BudgetExceeded(
            f"a batch of {format_bytes(size)} at byte {self.position} is larger than {format_bytes(self._max_bytes)}; "
            "write smaller batches, or allow more with the format option max_batch_bytes"
        )
        return self.error
