"""What joins two stages, as the engine sees it: it counts what moved and who waited, and ends with or without error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["Link", "LinkState"]


@dataclass(frozen=True)
class LinkState:
    """A link at one moment.

    Attributes:
        bytes_in: bytes put in so far.
        bytes_out: bytes taken out so far.
        writer_waiting: whether the stage before is blocked now, because the stage after does not take more.
        reader_waiting: whether the stage after is blocked now, because the stage before does not give more.
        write_blocked_seconds: how long the stage before has been blocked so far.
        read_blocked_seconds: how long the stage after has been blocked so far.
        write_closed: whether the stage before has ended the stream, well or with an error.
        read_closed: whether the stage after has let go of its end.
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
        """Whether the stream has ended and the stage after has taken all of it."""
        return self.write_closed and self.bytes_in == self.bytes_out


class Link(Protocol):
    """The engine's side of a link; what a stage does with its end is the stage's business."""

    def state(self) -> LinkState:
        """Describe the link as it is now; never blocks."""
        ...

    def end_writing(self, error: BaseException | None) -> None:
        """End the stream: well when ``error`` is None, else so that the stage after raises ``error``."""
        ...

    def end_reading(self, error: BaseException | None) -> None:
        """Let go of the read end: the stage before raises ``error`` on its next write, or ``BrokenError``."""
        ...
