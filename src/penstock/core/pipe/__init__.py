"""Bounded passing of bytes between two threads or tasks: Go's ``io.Pipe`` with Python's file API.

    reader, writer = pipe()

No buffer in between unless asked for: a write returns when readers have taken every byte, so the faster side waits
for the slower one and memory stays flat. Whichever side stops says why: ``close()`` is the end of the data,
``abort(exc)`` makes the other side raise that very exception. Whoever forgets both is told apart from either.

Where what lives: ``_state`` the queue of bytes and its rules, ``_steps`` one visit to it at a time, ``_reader`` and
``_writer`` the file objects, ``_aio`` their views for tasks, ``_inversion`` a reader for code that wants to write, and the reverse.
"""

from __future__ import annotations

from penstock.core.pipe._aio import AsyncPipeReader, AsyncPipeWriter
from penstock.core.pipe._inversion import ConsumerHandle, reading_from, writing_to
from penstock.core.pipe._make import PipePair, pipe
from penstock.core.pipe._orders import PipeStatistics
from penstock.core.pipe._reader import PipeReader
from penstock.core.pipe._writer import PipeWriter

__all__ = [
    "AsyncPipeReader",
    "AsyncPipeWriter",
    "ConsumerHandle",
    "PipePair",
    "PipeReader",
    "PipeStatistics",
    "PipeWriter",
    "pipe",
    "reading_from",
    "writing_to",
]
