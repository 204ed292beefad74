"""What can go wrong with a copy, and how a job that it happens to must end."""

from __future__ import annotations

import enum
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

__all__ = ["OF_EVERY_PAIR", "ROWS", "ROW_TEXT_BYTES", "STALL_SECONDS", "Fault", "Given", "Ground"]

ROWS = 40_000
ROW_TEXT_BYTES = 200  # so that 8 MB flow: enough for a multipart upload to be open, and for every buffer to fill
STALL_SECONDS = 1.0


class Fault(enum.Enum):
    """One thing that goes wrong in the middle of a copy. The value is the set of exit codes it may end with."""

    NONE = ("nothing", {0})
    SOURCE_ERROR = ("the source fails at a row", {3})
    SINK_ERROR = ("the sink fails at a byte", {4})
    SIGINT = ("Ctrl-C", {130})
    SIGTERM = ("SIGTERM", {143})
    DEADLINE = ("the deadline passes", {5})
    STALLED_SOURCE = ("the source gives nothing more", {5})
    STALLED_SINK = ("the sink takes nothing more", {5})
    DISK_FULL = ("the disk is full", {4})
    READER_GONE = ("who reads the standard output leaves", {141})
    CUT_SOURCE = ("the connection to the source is cut", {3})
    CUT_SINK = ("the connection to the sink is cut", {4})
    BURST_SOURCE = ("the source answers 503 a few times", {0, 3})
    BURST_SINK = ("the sink answers 503 a few times", {0, 4})

    def __init__(self, what: str, exit_codes: set[int]) -> None:
        self.what = what
        self.exit_codes = frozenset(exit_codes)

    @property
    def is_quiet(self) -> bool:
        """Whether nobody is told: ``| head`` has what it wanted."""
        return self is Fault.READER_GONE

    @property
    def is_signal(self) -> bool:
        """Whether it comes from outside the process."""
        return self in {Fault.SIGINT, Fault.SIGTERM}


#: Faults that any pair can suffer, whatever its source and sink.
OF_EVERY_PAIR = frozenset({Fault.NONE, Fault.SIGINT, Fault.SIGTERM, Fault.DEADLINE})


@dataclass(frozen=True)
class Ground:
    """What kits stand on.

    Attributes:
        request: for fixtures.
        folder: a folder of this test's own.
        servers: ended when everything has been looked at.
        troubles: ended as soon as the copy is over, so that servers see what a client has closed behind a stalled line.
    """

    request: pytest.FixtureRequest
    folder: Path
    servers: ExitStack
    troubles: ExitStack


@dataclass
class Given:
    """One side of a copy, made ready for a fault.

    Attributes:
        uri: address of the source or sink; an object for a source that is one.
        options: keyword arguments of ``penstock.copy``.
        environment: variables that a process needs to find it.
        stream: descriptor of the process that is its standard input or output; the address is ``-`` then.
    """

    uri: Any
    options: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    stream: int | None = None
