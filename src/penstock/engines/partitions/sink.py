"""The sink of one partition: it stores its part, and the last one to finish publishes all parts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from penstock.flow.contracts import Receipt
from penstock.flow.partitions import Publication

if TYPE_CHECKING:
    import pyarrow as pa

    from penstock.flow.contracts import ByteReader

__all__ = ["PartSink", "Publishing"]


@final
class Publishing:
    """Counts the parts that are stored, and publishes them when all are, in the thread of the last one.

    Args:
        publication: where the parts are stored and published.
        parts: how many parts there will be.

    Attributes:
        receipt: what has been published; None until then.
    """

    def __init__(self, publication: Publication, parts: int) -> None:
        self.receipt: Receipt | None = None
        self._publication = publication
        self._missing = parts
        self._lock = threading.Lock()

    def stored(self) -> None:
        """Count one more part as completely stored; if it is the last, publish all of them, which blocks."""
        with self._lock:
            self._missing -= 1
            is_last = self._missing == 0
        if is_last:
            self.receipt = self._publication.publish()


@dataclass(frozen=True)
class _Info:
    """What is known about a part besides its bytes."""

    schema: pa.Schema
    _rows: Callable[[], int | None]

    @property
    def rows(self) -> int:
        """Rows in it; final once its bytes have ended."""
        rows = self._rows()
        assert rows is not None  # whoever can be divided counts, also what it passes on as bytes
        return rows


@dataclass(frozen=True)
class _Part:
    part: _Info
    stream: ByteReader


@final
class PartSink:
    """A sink that stores one part of a publication.

    Args:
        display_name: the name of the whole destination for messages.
        number: the number of the part, from 1.
        schema: the columns.
    """

    def __init__(
        self, display_name: str, publication: Publication, publishing: Publishing, *, number: int, schema: pa.Schema
    ) -> None:
        self.display_name = display_name
        self.rows: Callable[[], int | None] = lambda: None
        self._publication = publication
        self._publishing = publishing
        self._number = number
        self._schema = schema

    def check(self) -> bool:
        """Return True: the whole destination has been checked already."""
        return True

    def store(self, stream: ByteReader) -> Receipt:
        """Store the part, and publish all parts if it is the last. Blocks as those do."""
        receipt = self._publication.store(self._number, _Part(_Info(self._schema, self.rows), stream))
        self._publishing.stored()
        return receipt
