"""Destinations in memory that keep the contract, and fail, wait and count as they are told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from penstock.errors import SinkError
from penstock.flow.contracts import BatchStream, ByteReader, Receipt

__all__ = ["MemorySink", "MemoryTable"]


class MemorySink:
    """Keeps what it is sent; publishes it only when the stream has ended well.

    Args:
        read_bytes: how much it asks for at once.
        fail_after: fail by itself after so many bytes.
        fail_to_clean: this, raised while cleaning up after a failure.
        wanted: what check() answers, or raises.
        on_read: called before each read; :func:`stall` makes it a destination that takes nothing.
        stop_after: return a receipt after so many bytes, though there are more.
        closes: close the stream before returning.

    Attributes:
        published: what has been published; None when nothing has.
        received: what has come so far.
        error: what a failed ``store`` has raised, or been told by the stream.
        thread: that ``store`` ran in.
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
        """Receive the stream to its end, then publish it."""
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
    """A table in memory: its rows change when a load has ended well, and not before.

    Args:
        rows: what it holds already.
        fail_after: fail by itself after so many rows.
        on_batch: called with each batch that has come.
        fail_to_roll_back: this, raised while cleaning up after a failure.
        wanted: what check() answers, or raises.

    Attributes:
        rows: what it holds.
        error: what a failed ``load`` has raised, or been told by the stream.
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
        """Take the batches to their end, then keep their rows."""
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
