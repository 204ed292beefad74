"""``MemorySink`` and ``MemoryTable``: destinations in memory that fail, wait and count as a test orders."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from penstock.errors import SinkError
from penstock.flow.contracts import BatchStream, ByteReader, Receipt

__all__ = ["MemorySink", "MemoryTable"]


class MemorySink:
    """A sink that keeps the bytes it receives, and publishes them only if the stream ends well.

    Args:
        read_bytes: how many bytes it asks for at once.
        fail_after: raise a ``SinkError`` after so many bytes; None never does.
        fail_to_clean: raised while cleaning up after a failure, if given.
        wanted: what ``check()`` returns, or raises.
        on_read: called before each read; :func:`stall` makes it a destination that takes nothing.
        stop_after: return a receipt after so many bytes although there are more, which breaks the contract.
        closes: close the stream before returning.

    Attributes:
        published: the bytes that have been published; None if none have.
        received: the bytes received so far.
        error: the exception that ``store`` has raised itself, or got from the stream.
        thread: the thread that ``store`` ran in.
    """

    display_name = "memory"

    def __init__(
        self,
        *,
        read_bytes: int = 65536,
        fail_after: int | None = None,
        fail_to_clean: Exception | None = None,
        wanted: bool | Exception = True,
        on_read: Callable[[], object] = lambda: None,
        stop_after: int | None = None,
        closes: bool = False,
    ) -> None:
        self.published: bytes | None = None
        self.error: BaseException | None = None
        self.received = bytearray()
        self.thread: threading.Thread | None = None
        self._read_bytes = read_bytes
        self._fail_after = fail_after
        self._fail_to_clean = fail_to_clean
        self._wanted = wanted
        self._on_read = on_read
        self._stop_after = stop_after
        self._closes = closes

    def check(self) -> bool:
        """Answer, or raise, what was ordered."""
        if isinstance(self._wanted, Exception):
            raise self._wanted
        return self._wanted

    def store(self, stream: ByteReader) -> Receipt:
        """Read the stream to its end, then publish it. Blocks as the stream does."""
        self.thread = threading.current_thread()
        try:
            self._receive(stream)
        except BaseException as error:
            self.error = error
            if self._fail_to_clean is not None:
                raise self._fail_to_clean  # noqa: B904 - not `from`: it is another failure
            raise
        if self._closes:
            stream.close()
        self.published = bytes(self.received)
        return Receipt("memory:1", len(self.received), {"reads": 1})

    def _receive(self, stream: ByteReader) -> None:
        while True:
            self._on_read()
            chunk = stream.read(self._read_bytes)
            if not chunk:
                return
            self.received += chunk
            if self._fail_after is not None and len(self.received) >= self._fail_after:
                raise SinkError("the memory is full", where="memory", hint="buy some")
            if self._stop_after is not None and len(self.received) >= self._stop_after:
                return


class MemoryTable:
    """A table in memory, whose rows change only if a load ends well.

    Args:
        rows: the rows it holds at first.
        fail_after: raise a ``SinkError`` after so many rows; None never does.
        on_batch: called with each batch received.
        fail_to_roll_back: raised while cleaning up after a failure, if given.
        wanted: what ``check()`` returns, or raises.

    Attributes:
        rows: the rows it holds.
        error: the exception that ``load`` has raised itself, or got from the stream.
    """

    display_name = "memory table"

    def __init__(
        self,
        rows: Iterable[dict[str, Any]] = (),
        *,
        fail_after: int | None = None,
        on_batch: Callable[[Any], object] = lambda _batch: None,
        fail_to_roll_back: Exception | None = None,
        wanted: bool | Exception = True,
    ) -> None:
        self.rows = list(rows)
        self.error: BaseException | None = None
        self._fail_after = fail_after
        self._on_batch = on_batch
        self._fail_to_roll_back = fail_to_roll_back
        self._wanted = wanted

    def check(self) -> bool:
        """Answer, or raise, what was ordered."""
        if isinstance(self._wanted, Exception):
            raise self._wanted
        return self._wanted

    def load(self, batches: BatchStream) -> Receipt:
        """Read the batches to their end, then keep their rows. Blocks as the batches do."""
        taken: list[dict[str, Any]] = []
        size = 0
        try:
            for batch in batches:
                taken += batch.to_pylist()
                size += batch.nbytes
                self._on_batch(batch)
                if self._fail_after is not None and len(taken) >= self._fail_after:
                    raise SinkError("the table is full", where=self.display_name)
        except BaseException as error:
            self.error = error
            if self._fail_to_roll_back is not None:
                raise self._fail_to_roll_back  # noqa: B904 - not `from`: it is another failure
            raise
        self.rows += taken
        return Receipt(self.display_name, size, {"rows": len(taken)})
