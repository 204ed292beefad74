"""Every wrapper of the standard library on a pipe's writer x {normal, exception, dropped}.

A wrapper closes the file below it in ``__exit__`` and in its finalizer, whatever the reason (measured for all of
these). So a plain pipe would show its reader a clean end over half the data. Here the reader sees the end only
when the block ended well, the block's own exception when it failed, and PipeAbandoned when it was let go.
"""

from __future__ import annotations

import bz2
import contextlib
import csv
import gc
import gzip
import io
import lzma
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any, NamedTuple

import pytest

from penstock.core.pipe import PipeWriter, pipe
from penstock.errors import BrokenError, PipeAbandoned
from tests.core.threads import Running, start

PAYLOAD = b"a line of some length\n" * 500


class FailedHalfWay(Exception):
    """What goes wrong in the block."""


class Wrapper(NamedTuple):
    """One way to write through something: how to open it, write PAYLOAD to it, and read the result back."""

    open: Callable[[PipeWriter], AbstractContextManager[Any]]
    write: Callable[[Any], object]
    decode: Callable[[bytes], bytes]


def identity(data: bytes) -> bytes:
    return data


def write_payload(file: Any) -> None:
    file.write(PAYLOAD)


def write_text(file: io.TextIOWrapper) -> None:
    file.write(PAYLOAD.decode())


def write_rows(file: io.TextIOWrapper) -> None:
    rows = csv.writer(file, lineterminator="\n")
    for line in PAYLOAD.decode().splitlines():
        rows.writerow([line])


@contextlib.contextmanager
def owning(writer: PipeWriter, wrapper: AbstractContextManager[Any]) -> Iterator[Any]:
    """For wrappers that leave closing the file below to the caller, who writes ``with writer, wrapper:``."""
    with writer, wrapper as opened:
        yield opened


def closing(writer: PipeWriter, wrapper: AbstractContextManager[Any]) -> AbstractContextManager[Any]:
    """The same with contextlib.closing, which calls close() whatever happened."""
    stack = ExitStack()
    stack.enter_context(contextlib.closing(writer))
    opened = stack.enter_context(wrapper)

    @contextlib.contextmanager
    def block() -> Iterator[Any]:
        with stack:
            yield opened

    return block()


def add_tar_member(archive: tarfile.TarFile) -> None:
    member = tarfile.TarInfo("lines.txt")
    member.size = len(PAYLOAD)
    archive.addfile(member, io.BytesIO(PAYLOAD))


def add_zip_member(archive: zipfile.ZipFile) -> None:
    archive.writestr("lines.txt", PAYLOAD)


def untar(data: bytes) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        member = archive.extractfile("lines.txt")
        assert member is not None
        return member.read()


def unzip(data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return archive.read("lines.txt")


def gzip_file(writer: PipeWriter) -> gzip.GzipFile:
    return gzip.GzipFile(fileobj=writer, mode="wb")


def tar_stream(writer: PipeWriter) -> tarfile.TarFile:
    return tarfile.open(fileobj=writer, mode="w|")


def zip_file(writer: PipeWriter) -> zipfile.ZipFile:
    return zipfile.ZipFile(writer, "w", zipfile.ZIP_DEFLATED)


WRAPPERS = {
    "plain with": Wrapper(lambda writer: writer, write_payload, identity),
    "contextlib.closing": Wrapper(contextlib.closing, write_payload, identity),
    "TextIOWrapper": Wrapper(io.TextIOWrapper, write_text, identity),
    "BufferedWriter": Wrapper(io.BufferedWriter, write_payload, identity),  # type: ignore[arg-type]
    "TextIOWrapper on BufferedWriter": Wrapper(
        lambda writer: io.TextIOWrapper(io.BufferedWriter(writer)),  # type: ignore[type-var]
        write_text,
        identity,
    ),
    "csv on TextIOWrapper": Wrapper(lambda writer: io.TextIOWrapper(writer, newline=""), write_rows, identity),
    "with, GzipFile": Wrapper(lambda writer: owning(writer, gzip_file(writer)), write_payload, gzip.decompress),
    "closing, GzipFile": Wrapper(lambda writer: closing(writer, gzip_file(writer)), write_payload, gzip.decompress),
    "with, ZipFile": Wrapper(lambda writer: owning(writer, zip_file(writer)), add_zip_member, unzip),
    "closing, ZipFile": Wrapper(lambda writer: closing(writer, zip_file(writer)), add_zip_member, unzip),
    "with, tarfile w|": Wrapper(lambda writer: owning(writer, tar_stream(writer)), add_tar_member, untar),
    "closing, tarfile w|": Wrapper(lambda writer: closing(writer, tar_stream(writer)), add_tar_member, untar),
    "with, BZ2File": Wrapper(lambda writer: owning(writer, bz2.BZ2File(writer, "wb")), write_payload, bz2.decompress),
    "with, LZMAFile": Wrapper(
        lambda writer: owning(writer, lzma.LZMAFile(writer, "wb")), write_payload, lzma.decompress
    ),
}

EVERY_WRAPPER = pytest.mark.parametrize("wrapper", WRAPPERS.values(), ids=WRAPPERS.keys())
EVERY_BUFFER = pytest.mark.parametrize("buffer_size", [0, 100, 1 << 20], ids=["rendezvous", "buffer100", "buffer1M"])


def reading_all(buffer_size: int) -> tuple[PipeWriter, Running[bytes]]:
    """A writer whose pipe a thread reads to the end, or to the error."""
    reader, writer = pipe(buffer_size)

    def read_all() -> bytes:
        with contextlib.closing(reader):
            return reader.read()

    return writer, start(read_all)


@EVERY_BUFFER
@EVERY_WRAPPER
def test_a_block_that_ends_well_is_a_clean_end(wrapper: Wrapper, buffer_size: int) -> None:
    """Normal: the reader sees all of it, then the end."""
    writer, reading = reading_all(buffer_size)
    with wrapper.open(writer) as file:
        wrapper.write(file)
    assert wrapper.decode(reading.result()) == PAYLOAD
    assert writer.closed


@EVERY_BUFFER
@EVERY_WRAPPER
def test_a_block_that_fails_is_never_a_clean_end(wrapper: Wrapper, buffer_size: int) -> None:
    """Exception: the reader raises that very exception, though every wrapper called close()."""
    writer, reading = reading_all(buffer_size)
    error = FailedHalfWay()
    with pytest.raises(FailedHalfWay) as caught, wrapper.open(writer) as file:
        wrapper.write(file)
        raise error
    assert caught.value is error
    assert reading.error(FailedHalfWay) is error
    assert writer.closed


@EVERY_WRAPPER
def test_a_block_left_by_ctrl_c_is_never_a_clean_end(wrapper: Wrapper) -> None:
    """KeyboardInterrupt: the reader gets a BrokenError caused by it, not a Ctrl-C of its own."""
    writer, reading = reading_all(0)
    with pytest.raises(KeyboardInterrupt) as caught, wrapper.open(writer) as file:
        wrapper.write(file)
        raise KeyboardInterrupt
    assert reading.error(BrokenError).__cause__ is caught.value


BARE = {
    "bare writer": Wrapper(lambda writer: writer, write_payload, identity),
    "TextIOWrapper": WRAPPERS["TextIOWrapper"],
    "BufferedWriter": WRAPPERS["BufferedWriter"],
    "TextIOWrapper on BufferedWriter": WRAPPERS["TextIOWrapper on BufferedWriter"],
    "csv on TextIOWrapper": WRAPPERS["csv on TextIOWrapper"],
    "GzipFile": Wrapper(gzip_file, write_payload, gzip.decompress),
    "ZipFile": Wrapper(zip_file, add_zip_member, unzip),
    "tarfile w|": Wrapper(tar_stream, add_tar_member, untar),
    "BZ2File": Wrapper(lambda writer: bz2.BZ2File(writer, "wb"), write_payload, bz2.decompress),
}


@EVERY_BUFFER
@pytest.mark.parametrize("wrapper", BARE.values(), ids=BARE.keys())
def test_a_wrapper_that_is_dropped_is_never_a_clean_end(wrapper: Wrapper, buffer_size: int) -> None:
    """Dropped: neither the wrapper nor the writer was closed, so the reader raises PipeAbandoned."""
    writer, reading = reading_all(buffer_size)
    opened = [wrapper.open(writer)]
    wrapper.write(opened[0])
    del writer
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        opened.clear()
        gc.collect()
    reading.error(PipeAbandoned)
    assert any(issubclass(warning.category, ResourceWarning) for warning in caught)


@pytest.mark.parametrize("wrapper", BARE.values(), ids=BARE.keys())
def test_a_wrapper_abandoned_by_a_failing_function_is_never_a_clean_end(wrapper: Wrapper) -> None:
    """A function that opens, writes and fails without any ``with``: the reader learns of it once the frames are gone."""
    writer, reading = reading_all(0)

    def produce(writer: PipeWriter) -> None:
        file = wrapper.open(writer)
        wrapper.write(file)
        raise FailedHalfWay

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        with contextlib.suppress(FailedHalfWay):
            produce(writer)
        del writer
        gc.collect()
        error = reading.error(Exception)
    assert isinstance(error, PipeAbandoned | FailedHalfWay)


@pytest.mark.parametrize("buffer_size", [0, 1 << 20])
def test_a_fallback_written_while_handling_an_error_is_a_clean_end(buffer_size: int) -> None:
    """A whole block inside ``except`` is no failure: the exception being handled is older than the pipe."""
    try:
        raise FailedHalfWay
    except FailedHalfWay:
        writer, reading = reading_all(buffer_size)
        with io.TextIOWrapper(writer) as text:
            text.write("the fallback")
        assert reading.result() == b"the fallback"
