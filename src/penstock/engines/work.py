"""The protocol of what an engine runs and watches: one chain of stages, or several side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from penstock.engines.stages import Stage, StageStatus
from penstock.flow.contracts import Receipt

__all__ = ["Work"]


class Work(Protocol):
    """A set of stages that are ready to be run, each in a thread of its own."""

    @property
    def stages(self) -> Sequence[Stage]:
        """All stages."""
        ...

    @property
    def receipt(self) -> Receipt | None:
        """What has been published; None until then."""
        ...

    def statuses(self) -> tuple[StageStatus, ...]:
        """Describe every kind of stage as it is now, source first."""
        ...

    def moved_bytes(self) -> int:
        """Return a number that grows whenever any byte moves between two stages."""
        ...

    def rows(self) -> int | None:
        """Return the rows that have passed; None when they are not counted."""
        ...

    def encoded_bytes(self) -> int:
        """Return the bytes that have left sources or encoders, before compression."""
        ...

    def stored_bytes(self) -> int:
        """Return the bytes that the sinks have taken."""
        ...

    @property
    def is_held_back(self) -> bool:
        """Whether a sink waits only because of the bandwidth limit."""
        ...

    def stacks(self) -> str:
        """Return the stack of every running stage, formatted as in a traceback."""
        ...

    def leaks(self) -> tuple[str, ...]:
        """Return what is left behind once every stage has ended. Anything is a bug."""
        ...

    def undo(self) -> list[str]:
        """Undo what the stages did, once all have ended and one has failed; return what could not be undone, by line."""
        ...
