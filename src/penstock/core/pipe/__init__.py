"""Pipes: pass bytes between two threads or tasks in bounded memory. Go's ``io.Pipe`` with Python's file API.

    reader, writer = pipe()

By default there is no buffer: a write returns once readers have taken every byte, so the faster side waits for the
slower one and memory stays flat. Each side says how it stopped: ``close()`` by the writer is the end of the data,
``abort(exc)`` makes the other side raise that very exception. An end that is dropped without either makes the other
side raise ``PipeAbandoned``, so it is mistaken for neither.

The modules: ``_state`` holds the queue of bytes and its rules, ``_steps`` has the operations on it, ``_reader`` and
``_writer`` are the file objects and ``_aio`` their views for tasks. ``_inversion`` gives a reader to code that calls a
writing function, and a writer to code that calls a reading one.
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
