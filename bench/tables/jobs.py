"""What is to be done, and by which command: shared by those who describe movers and those who run them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.tables.systems import TABLE, Place

__all__ = ["Command", "Job", "NotRunError"]


@dataclass(frozen=True)
class Job:
    """One thing to be done.

    Attributes:
        place: where from.
        format: ``"csv"``, ``"ndjson"`` or ``"parquet"``.
        sink: ``"file"`` or ``"s3"``.
        target: path of the file, or address of the object.
        table: name of the table.
        rows: how many it has.
        scratch: path of a folder for what a mover keeps for itself; it is removed afterwards.
        environment: variables by which every client finds the object store.
    """

    place: Place
    format: str
    sink: str
    target: str
    table: str = TABLE
    rows: int = 0
    scratch: str = ""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Command:
    """How a mover does a job.

    Attributes:
        arguments: program and arguments.
        environment: variables it needs besides those of the job.
        to_stdout: whether the file is what it writes to standard output.
    """

    arguments: list[str]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    to_stdout: bool = False


class NotRunError(Exception):
    """A mover does not do a job; the message says why, for the page."""
