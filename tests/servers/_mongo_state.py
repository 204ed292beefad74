"""What the double of MongoDB holds: collections, cursors, and what is to go wrong."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.servers._mongo_wire import Document, Raw, framed

__all__ = ["Collection", "Cursor", "FailPoint", "HangUp", "Refused", "reply"]

REPLY_BYTES = 16 << 20  # what one answer holds at most, and a document more


class Refused(Exception):
    """An error of the server."""

    def __init__(self, code: int, name: str, message: str) -> None:
        super().__init__(message)
        self.answer = {"ok": 0.0, "errmsg": message, "code": code, "codeName": name}


class HangUp(Exception):
    """The connection is to be cut."""


@dataclass
class Collection:
    """Documents, or a way to make them."""

    documents: list[Raw] = field(default_factory=list)
    generated: Callable[[], Iterator[Raw]] | None = None
    capped_at: int | None = None
    dropped: int = 0  # how many documents were overwritten

    def add(self, document: Raw) -> None:
        self.documents.append(document)
        if self.capped_at is not None and len(self.documents) > self.capped_at:
            del self.documents[0]
            self.dropped += 1


@dataclass
class Cursor:
    """A place in a collection."""

    number: int
    namespace: str
    collection: Collection
    session: Raw | None
    without_timeout: bool
    is_tailable: bool
    waits: bool
    left: int | None
    used_at: float
    position: int
    generated: Iterator[Raw] | None = None
    is_pinned: bool = False

    def take(self, most: int | None) -> tuple[list[Raw], bool]:
        """Return documents, and whether that was all there is now."""
        taken: list[Raw] = []
        size = 0
        while most is None or len(taken) < most:
            if self.left == 0 or (document := self._next()) is None:
                return taken, True
            taken.append(document)
            size += len(document)
            if self.left is not None:
                self.left -= 1
            if size >= REPLY_BYTES:
                break
        return taken, self.left == 0

    def _next(self) -> Raw | None:
        if self.generated is not None:
            return next(self.generated, None)
        index = self.position - self.collection.dropped
        if index < 0:
            raise Refused(
                136, "CappedPositionLost", "CollectionScan died due to position in capped collection being lost"
            )
        if index >= len(self.collection.documents):
            return None
        self.position += 1
        return self.collection.documents[index]


@dataclass
class FailPoint:
    """What is to go wrong; ``times`` None: for ever."""

    commands: list[str]
    data: Document
    skip: int
    times: int | None

    def strikes(self, command: str) -> bool:
        if command not in self.commands or self.times == 0:
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


def reply(cursor: Cursor, batch: str, documents: list[Raw]) -> Raw:
    """Return the answer with these documents, which are put in as they are."""
    array = framed(b"".join(b"\x03%d\0" % index + document for index, document in enumerate(documents)))
    number = b"\x12id\0" + struct.pack("<q", cursor.number)
    namespace = cursor.namespace.encode() + b"\0"
    place = b"\x02ns\0" + struct.pack("<i", len(namespace)) + namespace
    inner = framed(b"\x04" + batch.encode() + b"\0" + array + number + place)
    return framed(b"\x03cursor\0" + inner + b"\x01ok\0" + struct.pack("<d", 1.0))
