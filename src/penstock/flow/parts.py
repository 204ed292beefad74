"""The protocols of sinks for data that is split into several files (``max_file_size``), and of those files.

Source --> [encode, which begins a new part when one is full] --> [compress] --> PartsSink.store_parts
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from penstock.flow.contracts import ByteReader, Receipt

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["PartInfo", "PartToStore", "PartsSink"]


class PartInfo(Protocol):
    """What is known about a part besides its bytes."""

    @property
    def schema(self) -> pa.Schema:
        """The columns of the part."""
        ...

    @property
    def rows(self) -> int:
        """How many rows are in the part; final once its bytes have been read to the end."""
        ...


class PartToStore(Protocol):
    """One of the parts that a :class:`PartsSink` has to store."""

    @property
    def part(self) -> PartInfo:
        """What is known about the part."""
        ...

    @property
    def stream(self) -> ByteReader:
        """The bytes of the part."""
        ...


@runtime_checkable
class PartsSink(Protocol):
    """Where bytes go that are split into several files. It publishes all of them or none."""

    @property
    def display_name(self) -> str:
        """The name of the destination for messages, without secrets."""
        ...

    @property
    def max_part_bytes(self) -> int:
        """How many bytes one part may have, as stored."""
        ...

    def check(self) -> bool:
        """Check whether the destination may be written, as :meth:`penstock.flow.contracts.Sink.check` does."""
        ...

    def store_parts(self, parts: Iterator[PartToStore]) -> Receipt:
        """Store every part to its end, then publish them together. If anything fails, remove them all. Blocks."""
        ...
