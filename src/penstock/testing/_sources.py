"""Sources in memory that do as they are told: give, fail, wait. Rows for ``copy`` that do so, too."""

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
    """Wait for ever: a peer that has fallen silent. A cancel or a deadline ends it at once, as it must end any wait.

    Raises:
        Cancelled: the current scope was cancelled, or its deadline has passed.
    """
    while True:
        sleep(math.inf)


def failing_after(items: Iterable[T], error: BaseException) -> Iterator[T]:
    """Yield ``items``, then raise ``error``: rows, chunks or batches whose origin breaks in the middle."""
    yield from items
    raise error


def stalling_after(items: Iterable[T]) -> Iterator[T]:
    """Yield ``items``, then give nothing more, and do not end; see :func:`stall`."""
    yield from items
    stall()


class BytesSource:
    """Bytes in memory, handed out as they are.

    Args:
        chunks: what it hands out. One that is an exception is raised instead; one that can be called is called there, and
            gives the chunk: :func:`stall` gives none.
        format_name: what the bytes are.
        rows: how many rows they are, for the report.
        on_close: called when the block of ``open_bytes`` is left.

    Attributes:
        opened: how many times it was opened.
        closed: how many times it was closed again.
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
        """Not what this source has."""
        raise NotImplementedError


class BatchesSource:
    """Arrow batches in memory.

    Args:
        schema: of the batches.
        batches: what it hands out. One that is an exception is raised instead; one that can be called is called there.
    """

    display_name = "batches in memory"
    byte_formats: frozenset[str] = frozenset()
    rows_read: int | None = None

    def __init__(self, schema: Any, batches: Iterable[Any]) -> None:
        self.schema = schema
        self._batches = batches

    def open_bytes(self, format_name: str) -> AbstractContextManager[Iterator[bytes]]:
        """Not what this source has."""
        raise NotImplementedError

    def open_batches(self) -> AbstractContextManager[BatchStream]:
        """Hand out the batches."""
        return nullcontext(self)

    def __iter__(self) -> Iterator[Any]:
        """Play the batches."""
        for batch in self._batches:
            if isinstance(batch, BaseException):
                raise batch
            yield batch() if callable(batch) else batch
