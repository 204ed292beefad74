"""Bytes between two threads: penstock's pipe, the kernel's, and Go's.

One thread writes ``count`` chunks, another reads until the end and adds up what came. The payload is filled, not
zeros: untouched zeros are one shared page, which stays in the nearest cache and flatters every reader.
"""

from __future__ import annotations

import fcntl
import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from bench import go
from bench.registry import MICROSECONDS_EACH, Bar, Contender, Row, Run, gigabytes_per_second
from bench.threads import Ready, busy_thread, expect, run_together

KIB, MIB = 1024, 1024 * 1024
SET_PIPE_SIZE = getattr(fcntl, "F_SETPIPE_SZ", None)


@dataclass(frozen=True, slots=True)
class Ends:
    """The calls of one pipe. ``read_into`` is used instead of ``read`` when there is one."""

    write: Callable[[bytes], object]
    close_writer: Callable[[], object]
    close_reader: Callable[[], object]
    read: Callable[[int], bytes] | None = None
    read_into: Callable[[bytearray], int | None] | None = None


def stream(make: Callable[[], Ends], chunk_bytes: int, read_bytes: int | None = None) -> Run:
    """Write chunks in one thread, read them in another, with reads of ``read_bytes`` (default: the chunk's size)."""
    payload = b"p" * chunk_bytes

    def run(count: int) -> float:
        ends = make()

        def produce(ready: Ready) -> None:
            write = ends.write
            ready()
            for _ in range(count):
                write(payload)
            ends.close_writer()

        def consume(ready: Ready) -> None:
            total = _read_all(ends, read_bytes or chunk_bytes, ready)
            ends.close_reader()
            expect(total, count * chunk_bytes)

        return run_together(produce, consume)

    return run


def _read_all(ends: Ends, size: int, ready: Ready) -> int:
    total = 0
    if ends.read is not None:
        read = ends.read
        ready()
        while chunk := read(size):
            total += len(chunk)
    elif ends.read_into is not None:
        read_into, buffer = ends.read_into, bytearray(size)
        ready()
        while got := read_into(buffer):
            total += got
    return total


def penstock_pipe(buffer_size: int = 0, method: str = "read1") -> Callable[[], Ends]:
    """``pipe(buffer_size)``, read with ``read``, ``read1`` or ``readinto1``."""

    def make() -> Ends:
        from penstock.core.pipe import pipe

        reader, writer = pipe(buffer_size)
        call = getattr(reader, method)
        read, read_into = (None, call) if method.startswith("readinto") else (call, None)
        return Ends(writer.write, writer.close, reader.close, read, read_into)

    return make


def os_pipe(kernel_bytes: int | None = None) -> Callable[[], Ends]:
    """``os.pipe``, ``os.write``, ``os.read``. A blocking pipe takes all of a write; the reader's total proves it."""

    def make() -> Ends:
        read_fd, write_fd = os.pipe()
        if kernel_bytes and SET_PIPE_SIZE:
            fcntl.fcntl(write_fd, SET_PIPE_SIZE, kernel_bytes)
        write, read = partial(os.write, write_fd), partial(os.read, read_fd)
        return Ends(write, partial(os.close, write_fd), partial(os.close, read_fd), read)

    return make


def os_pipe_readinto() -> Ends:
    """``os.pipe`` read into one reused buffer, through an unbuffered file object."""
    read_fd, write_fd = os.pipe()
    file = io.FileIO(read_fd)
    return Ends(partial(os.write, write_fd), partial(os.close, write_fd), file.close, read_into=file.readinto)


def os_pipe_behind_a_buffer() -> Ends:
    """``os.pipe`` behind ``io.BufferedWriter`` of 64 KiB: what one would write by hand for many small writes."""
    read_fd, write_fd = os.pipe()
    file = io.BufferedWriter(io.FileIO(write_fd, "w"), 64 * KIB)
    return Ends(file.write, file.close, partial(os.close, read_fd), partial(os.read, read_fd))


def beside_a_busy_thread(run: Run) -> Run:
    """The same work while another thread computes."""

    def run_busy(count: int) -> float:
        with busy_thread():
            return run(count)

    return run_busy


def _no_large_kernel_pipe() -> str | None:
    return None if SET_PIPE_SIZE else "needs Linux"


CHUNKS_64K = Row(
    name="pipe-64k",
    title="64 KiB chunks between two threads",
    unit=gigabytes_per_second(64 * KIB),
    count=8_000,
    quick_count=1_500,
    contenders=(
        Contender("pipe()", stream(penstock_pipe(), 64 * KIB)),
        Contender("os.pipe", stream(os_pipe(), 64 * KIB)),
        Contender("pipe(1 MiB)", stream(penstock_pipe(MIB), 64 * KIB)),
        Contender("pipe(), read", stream(penstock_pipe(method="read"), 64 * KIB)),
        Contender("pipe(), readinto1", stream(penstock_pipe(method="readinto1"), 64 * KIB)),
        Contender("os.pipe, readinto", stream(os_pipe_readinto, 64 * KIB)),
        Contender("os.pipe, 1 MiB kernel buffer", stream(os_pipe(MIB), 64 * KIB), _no_large_kernel_pipe),
        go.contender("Go io.Pipe", "pipe", chunk=64 * KIB),
        go.contender("Go os.Pipe", "ospipe", chunk=64 * KIB),
    ),
    bars=(Bar("pipe()", ">=", 1.2, "os.pipe"), Bar("pipe(1 MiB)", ">=", 4.0, "os.pipe")),
)

CHUNKS_1M = Row(
    name="pipe-1m",
    title="1 MiB chunks between two threads",
    unit=gigabytes_per_second(MIB),
    count=1_500,
    quick_count=300,
    contenders=(
        Contender("pipe(), read1", stream(penstock_pipe(), MIB)),
        Contender("os.pipe", stream(os_pipe(), MIB)),
        go.contender("Go io.Pipe", "pipe", chunk=MIB),
        Contender("pipe(), readinto1", stream(penstock_pipe(method="readinto1"), MIB)),
        Contender("os.pipe, os.read(64 KiB)", stream(os_pipe(), MIB, 64 * KIB)),
        Contender("os.pipe, readinto", stream(os_pipe_readinto, MIB)),
        Contender("os.pipe, 1 MiB kernel buffer", stream(os_pipe(MIB), MIB), _no_large_kernel_pipe),
    ),
    bars=(Bar("pipe(), read1", ">=", 6.0, "os.pipe"), Bar("pipe(), read1", ">=", 1.0, "Go io.Pipe")),
)

SMALL_WRITES = Row(
    name="pipe-100b",
    title="100-byte writes, each read takes up to 64 KiB of what waits",
    unit=MICROSECONDS_EACH,
    count=200_000,
    quick_count=40_000,
    contenders=(
        Contender("pipe(65536)", stream(penstock_pipe(64 * KIB), 100, 64 * KIB)),
        Contender("os.pipe", stream(os_pipe(), 100, 64 * KIB)),
        Contender("os.pipe behind BufferedWriter", stream(os_pipe_behind_a_buffer, 100, 64 * KIB)),
    ),
    bars=(Bar("pipe(65536)", "<=", 1.5),),
)

BUSY = Row(
    name="pipe-64k-busy",
    title="64 KiB chunks between two threads while a third one computes",
    unit=gigabytes_per_second(64 * KIB),
    count=200,
    quick_count=100,
    contenders=(
        Contender("pipe()", beside_a_busy_thread(stream(penstock_pipe(), 64 * KIB))),
        Contender("pipe(1 MiB)", beside_a_busy_thread(stream(penstock_pipe(MIB), 64 * KIB))),
        Contender("os.pipe", beside_a_busy_thread(stream(os_pipe(), 64 * KIB))),
    ),
)

ROWS = (CHUNKS_64K, CHUNKS_1M, SMALL_WRITES, BUSY)
