"""Sources and iterators in memory that give data, fail or stall as a test orders."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NoReturn, TypeVar

from penstock.core.cancel import sleep
from penstock.flow.contracts import BatchStream

__all__ = ["BatchesSource", "BytesSource", "failing_after", "stall", "stalling_after"]

T = TypeVar("T")


def stall() -> NoReturn:
    """Block for ever, as a peer that has fallen silent makes its reader do. A cancel or a deadline ends it at once.

    Raises:
        Cancelled: the current scope was cancelled, or its deadline has passed.
    """
    while True:
        sleep(math.inf)


def failing_after(items: Iterable[T], error: BaseException) -> Iterator[T]:
    """Yield ``items`` (rows, chunks or batches), then raise ``error``: a source that fails in the middle."""
    yield from items
    raise error


def stalling_after(items: Iterable[T]) -> Iterator[T]:
    """Yield ``items``, then block without ending, until cancelled; see :func:`stall`."""
    yield from items
    stall()


class BytesSource:
    """A source of bytes in memory.

    Args:
        chunks: the chunks it hands out. Instead of a chunk there may be an exception, which is raised, or a function,
            which is called and returns the chunk; :func:`stall` never returns.
        format_name: the format of the bytes.
        rows: how many rows they are, for the report; None if uncounted.
        on_close: called when the block of ``open_bytes`` is left.

    Attributes:
        opened: how many times it has been opened.
        closed: how many times it has been closed again.
    """

    display_name = "chunks in memory"

    def __init__(
        self,
        chunks: Iterable[bytes | BaseException | Callable[[], bytes]],
        *,
        format_name: str = "csv",
        rows: int | None = None,
        on_close: Callable[[], object] = lambda: None,
    ) -> None:
        self.byte_formats = frozenset({format_name})
        self.rows_read = rows
        self.opened = 0
        self.closed = 0
        self._chunks = chunks
        self._on_close = on_close

    @contextmanager
    def open_bytes(self, format_name: str) -> Iterator[Iterator[bytes]]:
        """Hand out the chunks."""
        assert format_name in self.byte_formats
        self.opened += 1
        try:
            yield self._play()
        finally:
            self.closed += 1
            self._on_close()

    def _play(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            if isinstance(chunk, BaseException):
                raise chunk
            yield chunk() if callable(chunk) else chunk

    def open_batches(self) -> AbstractContextManager[BatchStream]:
        """Raise ``NotImplementedError``: this source has bytes only."""
        raise NotImplementedError


class BatchesSource:
    """A source of Arrow batches in memory.

    Args:
        schema: the schema of the batches.
        batches: the batches it hands out. Instead of a batch there may be an exception, which is raised, or a function,
            which is called and returns the batch.
    """

    display_name = "batches in memory"
    byte_formats: frozenset[str] = frozenset()
    rows_read: int | None = None

    def __init__(self, schema: Any, batches: Iterable[Any]) -> None:
        self.schema = schema
        self._batches = batches

    def open_bytes(self, format_name: str) -> AbstractContextManager[Iterator[bytes]]:
        """Raise ``NotImplementedError``: this source has batches only."""
        raise NotImplementedError

    def open_batches(self) -> AbstractContextManager[BatchStream]:
        """Hand out the batches."""
        return nullcontext(self)

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches, raising or calling what is not one."""
        for batch in self._batches:
            if isinstance(batch, BaseException):
                raise batch
            yield batch() if callable(batch) else batch
