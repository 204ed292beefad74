"""What the tests of the pipe share: a fed reader, buffer sizes, an error of its own."""

from __future__ import annotations

import pytest

from penstock.core.pipe import PipeReader, PipeWriter, pipe
from tests.core.threads import Running, start

__all__ = ["BUFFER_SIZES", "FailedHalfWay", "feed", "write_all"]

BUFFER_SIZES = pytest.mark.parametrize("buffer_size", [0, 1, 7, 65536], ids=lambda size: f"buffer{size}")


def write_all(writer: PipeWriter, *chunks: bytes) -> None:
    """Write the chunks one by one, then close."""
    for chunk in chunks:
        writer.write(chunk)
    writer.close()


def feed(buffer_size: int, *chunks: bytes) -> tuple[PipeReader, Running[None]]:
    """A reader of a pipe into which a thread writes ``chunks`` and then closes."""
    reader, writer = pipe(buffer_size)
    return reader, start(write_all, writer, *chunks)


class FailedHalfWay(Exception):
    """What goes wrong on one side."""
