"""The sink of one partition: stores its part, and the last of all to do so publishes them."""

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
    """Stores parts, and publishes them when all are there. In the thread of whoever is last: it is watched as a sink is.

    Args:
        publication: where to.
        parts: how many there will be.

    Attributes:
        receipt: what was published; None until it has been.
    """

    def __init__(self, publication: Publication, parts: int) -> None:
        self.receipt: Receipt | None = None
        self._publication = publication
        self._missing = parts
        self._lock = threading.Lock()

    def stored(self) -> None:
        """Count a part that has been stored, to its end; publish all of them when it was the last. Blocks."""
        with self._lock:
            self._missing -= 1
            is_last = self._missing == 0
        if is_last:
            self.receipt = self._publication.publish()


@dataclass(frozen=True)
class _Info:
    """What is known of a part beside its bytes."""

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
    """A sink whose bytes become part ``number`` of a publication.

    Args:
        display_name: the destination as a whole.
        number: of the part, from 1.
        schema: its columns.
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
        """Return True: the destination was looked at as a whole."""
        return True

    def store(self, stream: ByteReader) -> Receipt:
        """Store the part. Blocks as its own sink does, and as publishing does when it is the last."""
        receipt = self._publication.store(self._number, _Part(_Info(self._schema, self.rows), stream))
        self._publishing.stored()
        return receipt
