"""Sources and sinks in memory: those of ``penstock.testing``, and some that only the tests here need."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from penstock.errors import AlreadyExists, SinkError
from penstock.flow.contracts import ByteReader, Receipt
from penstock.flow.description import Description
from penstock.testing import BatchesSource, BytesSource, MemorySink, MemoryTable

__all__ = [
    "BatchesSource",
    "BytesSource",
    "DescribedSource",
    "MemoryFile",
    "MemoryFolder",
    "MemorySink",
    "MemoryTable",
]


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
