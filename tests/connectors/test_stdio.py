"""Standard input and output, as real descriptors of real processes and as replaced objects."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from penstock.errors import SinkError, SourceError
from tests.connectors.parts import (
    Cancellable,
    Fails,
    Stream,
    data_stream,
    open_descriptors,
    read_bytes,
    read_rows,
    reading,
    sink_of,
    source_of,
)

DATA = b"a,b\n1,x\n"


@contextmanager
def standard_input(descriptor: int) -> Iterator[None]:
    """Make ``descriptor`` standard input for a while, and ``sys.stdin`` its file."""
    saved, replaced = os.dup(0), sys.stdin
    os.dup2(descriptor, 0)
    sys.stdin = open(0, encoding="utf-8", closefd=False)
    try:
        yield
    finally:
        sys.stdin.close()
        sys.stdin = replaced
        os.dup2(saved, 0)
        os.close(saved)


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    """The two ends of an operating system's pipe."""
    readable, writable = os.pipe()
    yield readable, writable
    for descriptor in (readable, writable):
        try:
            os.close(descriptor)
        except OSError:
            continue  # the test has closed it


@contextmanager
def standard_output(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with open(descriptor, "w", encoding="utf-8", closefd=False) as file:
        monkeypatch.setattr(sys, "stdout", file)
        yield
        monkeypatch.undo()


def test_input_is_read_to_its_end(ends: tuple[int, int]) -> None:
    """As bytes and as batches; it stays open afterwards, as it is not ours."""
    for read, expected in ((read_bytes, DATA), (read_rows, [{"a": "1", "b": "x"}])):
        readable, writable = os.pipe()
        os.write(writable, DATA)
        os.close(writable)
        with standard_input(readable):
            assert read(source_of("-", format="csv")) == expected
            assert os.fstat(0)
        os.close(readable)


def test_a_cancel_ends_the_wait_for_input(ends: tuple[int, int]) -> None:
    """Nobody types, and nobody waits for that. The descriptor is left in the mode it was."""
    with standard_input(ends[0]):
        blocking = os.get_blocking(0)
        before = open_descriptors()
        call = Cancellable(lambda: read_bytes(source_of("-", format="csv")))
        call.wait_still()
        assert call.cancel() < 0.5
        assert os.get_blocking(0) == blocking
        assert open_descriptors() == before


def test_a_replaced_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests and notebooks replace sys.stdin by objects without a descriptor."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(DATA)))
    assert read_bytes(source_of("-", format="csv")) == DATA


def test_an_input_that_can_not_be_read_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading a folder fails with EISDIR: the error says standard input."""
    descriptor = os.open("/", os.O_RDONLY)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(fileno=lambda: descriptor))
    try:
        with pytest.raises(SourceError, match=r"^standard input: Is a directory"):
            read_bytes(source_of("-", format="csv"))
    finally:
        os.close(descriptor)


def test_output_goes_to_the_descriptor(ends: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """After what Python still held, and it stays open."""
    readable, writable = ends
    with standard_output(writable, monkeypatch):
        sys.stdout.write("before ")
        receipt = sink_of("-").store(data_stream(DATA))
    os.close(writable)
    assert (receipt.location, receipt.bytes_stored) == ("", len(DATA))
    assert os.read(readable, 1000) == b"before " + DATA


def test_a_replaced_output_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """An object with a buffer gets the bytes; one for text alone is refused."""
    replaced = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", replaced)
    sink_of("-").store(data_stream(DATA))
    assert replaced.buffer.getvalue() == DATA  # type: ignore[attr-defined]
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    with pytest.raises(SinkError, match="replaced by an object that takes only text"):
        sink_of("-").store(data_stream(DATA))


def test_a_closed_output_is_found_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """`penstock cp ... - >&-` fails at once."""
    closed = io.TextIOWrapper(io.BytesIO())
    closed.close()
    for replaced in (None, closed):
        monkeypatch.setattr(sys, "stdout", replaced)
        with pytest.raises(SinkError, match="standard output: it is closed"):
            sink_of("-").check()


def test_a_reader_that_has_gone_is_a_broken_pipe(ends: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """`| head`: a SinkError whose cause a command can tell from other failures."""
    readable, writable = ends
    os.close(readable)
    with standard_output(writable, monkeypatch):
        with pytest.raises(SinkError, match="the program reading it has ended") as caught:
            sink_of("-").store(data_stream(DATA))
    assert isinstance(caught.value.__cause__, BrokenPipeError)


def test_a_cancel_interrupts_a_reader_that_does_not_read(
    ends: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`| less`: the pipe is full, and the wait still ends. Nothing blocks in write(2)."""
    _readable, writable = ends
    with standard_output(writable, monkeypatch):
        blocking = os.get_blocking(writable)
        call = Cancellable(lambda: sink_of("-").store(data_stream(b"x" * 10_000_000)))
        call.wait_still()
        assert call.cancel() < 0.5
        assert os.get_blocking(writable) == blocking


def test_a_failing_stream_raises_its_own_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written has been seen; the error comes out as it is."""
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO()))
    error = Fails()
    with pytest.raises(Fails) as caught:
        sink_of("-").store(reading(Stream(DATA, error)))
    assert caught.value is error


def test_no_space_for_output_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """`> /dev/full`."""
    descriptor = os.open("/dev/full", os.O_WRONLY)
    try:
        with standard_output(descriptor, monkeypatch):
            with pytest.raises(SinkError, match="standard output: No space left on device"):
                sink_of("-").store(data_stream(DATA))
    finally:
        os.close(descriptor)


def test_processes_in_a_row() -> None:
    """As in a shell: a megabyte through two pipes, and through a reader that leaves early."""
    code = (
        "from tests.connectors.parts import *\n"
        "from penstock.core.pipe import writing_to\n"
        "with writing_to(lambda reader: sink_of('-').store(reader)) as handle, source_of('-', format='csv').open_bytes('csv') as chunks:\n"
        "    for chunk in chunks: handle.writer.write(chunk)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    data = b"x" * 1_000_000
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True, env=environment)
    assert (done.stdout, done.stderr) == (data, b"")
