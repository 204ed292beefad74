"""The protocols of sources that can be read in several ranges at once, and of sinks for such ranges (``partitions``).

    Source.partitioned --> N x (Source --> [encode] --> [compress] --> Publication.store) --> Publication.publish

All ranges see one snapshot, and every row is in exactly one of them. Each range is stored as a part of its own, and no
part stays unless all are complete.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from penstock.flow.contracts import PartToStore, Receipt, Source

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Partition", "PartitionableSource", "Partitions", "PartitionsSink", "Publication"]


@dataclass(frozen=True)
class Partition:
    """One range of a source.

    Attributes:
        source: reads it, and nothing else, over a connection of its own. Counts its rows, also those of bytes.
        range: which rows these are, in words: ``"ctid < (128,0)"``.
    """

    source: Source
    range: str


@dataclass(frozen=True)
class Partitions:
    """A source, divided.

    Attributes:
        schema: the columns, as batches of every partition have them.
        snapshot: what the rows of all partitions have in common, in words.
        each: the partitions, in order; at least one.
    """

    schema: pa.Schema
    snapshot: str
    each: tuple[Partition, ...]


@runtime_checkable
class PartitionableSource(Source, Protocol):
    """A source that can be divided into ranges which are read at once."""

    def partitioned(self, most: int, by: str | None) -> AbstractContextManager[Partitions]:
        """Divide into ranges of about the same size. Touches nothing before the block is entered.

        Entering it connects, and takes a snapshot that is kept until it is left. The sources in it may be opened in any
        threads, each once, until then. A cancel scope around entering it may have been left by then.

        Args:
            most: how many ranges at most; fewer where there is not as much.
            by: column whose values the ranges are of; None for what the source finds best.

        Raises:
            ConfigurationError: it cannot be divided so; says why, and what to do. When called, if that can be told
                without looking.
            SourceError: as ``open_*`` would, when the block is entered.
        """
        ...


class Publication(Protocol):
    """Parts that are stored in several threads at once, and appear together."""

    def store(self, number: int, part: PartToStore) -> Receipt:
        """Store part ``number``, counted from 1, to its end. Blocks."""
        ...

    def publish(self) -> Receipt:
        """Make the parts that have been stored a whole. Blocks."""
        ...

    def undo(self) -> list[str]:
        """Remove every part, unless they have been published; return what could not be removed, a line each.

        Blocks, whoever may have been cancelled. No part is being stored any more.
        """
        ...


@runtime_checkable
class PartitionsSink(Protocol):
    """Where the parts of a partitioned source go. All of them, or none."""

    @property
    def display_name(self) -> str:
        """The destination as messages show it, never a secret."""
        ...

    def check(self) -> bool:
        """Look whether the destination may be written; as of a :class:`~penstock.flow.contracts.Sink`."""
        ...

    def publication(self) -> Publication:
        """Begin; may look at what is there. Blocks."""
        ...
