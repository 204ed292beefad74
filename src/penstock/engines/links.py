"""The protocol of a link between two stages, as the engine sees it: counters, and ending with or without an error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["Link", "LinkState"]


@dataclass(frozen=True)
class LinkState:
    """The counters of a link at one moment.

    Attributes:
        bytes_in: bytes put in so far.
        bytes_out: bytes taken out so far.
        writer_waiting: whether the writing stage is blocked now, because the reading stage takes no more.
        reader_waiting: whether the reading stage is blocked now, because the writing stage gives no more.
        write_blocked_seconds: how long the writing stage has been blocked so far.
        read_blocked_seconds: how long the reading stage has been blocked so far.
        write_closed: whether the writing stage has ended the stream, normally or with an error.
        read_closed: whether the reading stage has closed its end.
    """

    bytes_in: int
    bytes_out: int
    writer_waiting: bool
    reader_waiting: bool
    write_blocked_seconds: float
    read_blocked_seconds: float
    write_closed: bool
    read_closed: bool

    @property
    def delivered(self) -> bool:
        """Whether the stream has ended and all of it has been read."""
        return self.write_closed and self.bytes_in == self.bytes_out


class Link(Protocol):
    """The engine's view of a link. How a stage uses its end is up to the stage."""

    def state(self) -> LinkState:
        """Describe the link as it is now; never blocks."""
        ...

    def end_writing(self, error: BaseException | None) -> None:
        """End the stream: normally if ``error`` is None, else so that the reading stage raises ``error``."""
        ...

    def end_reading(self, error: BaseException | None) -> None:
        """Close the read end: the next write of the writing stage raises ``error``, or ``BrokenError``."""
        ...
