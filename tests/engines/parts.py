"""Sources and sinks in memory, which fail, wait and count as a test orders them to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from penstock.errors import AlreadyExists, SinkError
from penstock.flow.contracts import BatchStream, ByteReader, Receipt
from penstock.flow.description import Description


class BytesSource:
    """Hands out chunks; a chunk that is an exception is raised instead, one that can be called is called."""

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
        raise NotImplementedError


class BatchesSource:
    """Hands out Arrow batches of a given schema; an exception among them is raised."""

    display_name = "batches in memory"
    byte_formats: frozenset[str] = frozenset()
    rows_read: int | None = None

    def __init__(self, schema: Any, batches: Iterable[Any]) -> None:
        self.schema = schema
        self._batches = batches

    def open_bytes(self, format_name: str) -> AbstractContextManager[Iterator[bytes]]:
        raise NotImplementedError

    def open_batches(self) -> AbstractContextManager[BatchStream]:
        return nullcontext(self)

    def __iter__(self) -> Iterator[Any]:
        for batch in self._batches:
            if isinstance(batch, BaseException):
                raise batch
            yield batch


class MemorySink:
    """Keeps what it is sent; publishes it only when the stream has ended well.

    Args:
        fail_after: fail by itself after so many bytes.
        fail_to_clean: this, raised while cleaning up after a failure.
        wanted: what check() answers, or raises.
        on_read: called before each read.
        stop_after: return a receipt after so many bytes, though there are more.
        closes: close the stream before returning.
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
        if isinstance(self._wanted, Exception):
            raise self._wanted
        return self._wanted

    def store(self, stream: ByteReader) -> Receipt:
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


class DescribedSource(BytesSource):
    """A source of bytes that can say what it would do."""

    def __init__(self, description: Description | Exception, *, format_name: str = "csv") -> None:
        super().__init__([], format_name=format_name)
        self.asked: list[str | None] = []
        self._description = description

    def describe(self, format_name: str | None) -> Description:
        self.asked.append(format_name)
        if isinstance(self._description, Exception):
            raise self._description
        return self._description


class MemoryTable:
    """A table in memory: its rows change when a load has ended well, and not before.

    Args:
        rows: what it holds already.
        fail_after: fail by itself after so many rows.
        on_batch: called with each batch that has come.
        fail_to_roll_back: this, raised while cleaning up after a failure.
        wanted: what check() answers, or raises.
    """

    display_name = "memory table"

    def __init__(
        self,
        rows: Iterable[dict[str, Any]] = (),
        *,
        fail_after: int | None = None,
        on_batch: Callable[[Any], object] = lambda batch: None,
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
        if isinstance(self._wanted, Exception):
            raise self._wanted
        return self._wanted

    def load(self, batches: BatchStream) -> Receipt:
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


class MemoryFolder:
    """Files in memory, each published whole. ``open`` makes the sink of one of them.

    Args:
        files: what is there already.
        fail_at: storing a file of this name fails.
        stuck: removing files of these names fails.
        on_store: called with the name before a file is stored.
    """

    def __init__(
        self,
        files: dict[str, bytes] | None = None,
        *,
        fail_at: str | None = None,
        stuck: Iterable[str] = (),
        on_store: Callable[[str], object] = lambda name: None,
    ) -> None:
        self.files = dict(files or {})
        self.order: list[str] = []
        self.fail_at = fail_at
        self.stuck = set(stuck)
        self.on_store = on_store

    def open(self, name: str, if_exists: str) -> MemoryFile:
        return MemoryFile(self, name, if_exists)

    def read(self, name: str) -> bytes:
        return self.files[name]


class MemoryFile:
    """One of them."""

    def __init__(self, folder: MemoryFolder, name: str, if_exists: str) -> None:
        self.display_name = name
        self._folder = folder
        self._if_exists = if_exists

    def check(self) -> bool:
        if self.display_name not in self._folder.files or self._if_exists == "overwrite":
            return True
        if self._if_exists == "skip":
            return False
        raise AlreadyExists("it is there", where=self.display_name)

    def store(self, stream: ByteReader) -> Receipt:
        self._folder.on_store(self.display_name)
        data = bytearray()
        while chunk := stream.read(4096):
            data += chunk
        if self._folder.fail_at == self.display_name:
            raise SinkError("the folder is full", where=self.display_name)
        self.check()
        self._folder.files[self.display_name] = bytes(data)
        self._folder.order.append(self.display_name)
        return Receipt(self.display_name, len(data))

    def remove(self) -> None:
        if self.display_name in self._folder.stuck:
            raise SinkError("it does not go away", where=self.display_name)
        self._folder.files.pop(self.display_name, None)
