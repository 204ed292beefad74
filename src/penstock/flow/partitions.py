"""The protocols of sources that can be read in several ranges at once, and of sinks for such ranges (``partitions``).

    Source.partitioned --> N x (Source --> [encode] --> [compress] --> Publication.store) --> Publication.publish

All ranges see one snapshot, and every row is in exactly one of them. Each range is stored as a part of its own, and no
part stays unless all are complete.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from penstock.flow.contracts import Receipt, Source
from penstock.flow.parts import PartToStore

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Partition", "PartitionableSource", "Partitions", "PartitionsSink", "Publication"]


@dataclass(frozen=True)
class Partition:
    """One range of a source.

    Attributes:
        source: reads this range and nothing else, over its own connection. It counts rows even when it hands out bytes.
        range: which rows these are, in words, such as ``"ctid < (128,0)"``.
    """

    source: Source
    range: str


@dataclass(frozen=True)
class Partitions:
    """A divided source.

    Attributes:
        schema: the columns of the batches of every partition.
        snapshot: the snapshot that all partitions see, in words.
        each: the partitions, in order; at least one.
    """

    schema: pa.Schema
    snapshot: str
    each: tuple[Partition, ...]


@runtime_checkable
class PartitionableSource(Source, Protocol):
    """A source that can be divided into ranges that are read at the same time."""

    def partitioned(self, most: int, by: str | None) -> AbstractContextManager[Partitions]:
        """Divide the source into ranges of about the same size. Connects to nothing before the block is entered.

        Entering the block connects, and takes a snapshot that is kept until the block is left. Until then each of the
        sources may be opened once, in any thread, even after a cancel scope around the entering has been left.

        Args:
            most: the most ranges to make; fewer if there is less data.
            by: the column whose values divide the ranges; None lets the source choose.

        Raises:
            ConfigurationError: the source cannot be divided this way; says why, and what to do. Raised by the call
                itself if that is known without connecting.
            SourceError: on entering the block, as from ``open_*``.
        """
        ...


class Publication(Protocol):
    """Parts that are stored in several threads at once, and are published together."""

    def store(self, number: int, part: PartToStore) -> Receipt:
        """Store part ``number``, counted from 1, to its end. Blocks."""
        ...

    def publish(self) -> Receipt:
        """Publish all parts that have been stored. Blocks."""
        ...

    def undo(self) -> list[str]:
        """Remove every part, unless they have been published; return what could not be removed, one line each.

        Blocks even if the surrounding scope is cancelled. Called when no part is being stored any more.
        """
        ...


@runtime_checkable
class PartitionsSink(Protocol):
    """Where the parts of a partitioned source go. It publishes all of them or none."""

    @property
    def display_name(self) -> str:
        """The name of the destination for messages, without secrets."""
        ...

    def check(self) -> bool:
        """Check whether the destination may be written, as :meth:`penstock.flow.contracts.Sink.check` does."""
        ...

    def publication(self) -> Publication:
        """Begin to publish, which may mean to read what exists. Blocks."""
        ...
