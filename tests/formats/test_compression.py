"""Compressed streams end properly exactly when what was compressed ended properly."""

from __future__ import annotations

import gzip
import io
import shutil
import subprocess
import tracemalloc
import zlib

import pytest
import zstandard

from penstock import formats
from penstock.core.pipe import pipe
from penstock.errors import BrokenError, ConfigurationError, SourceError
from tests.formats.streams import Collected, CountingStream, FailingStream, Fails

NAMES = formats.compression_names()
DATA = b"".join(b"%d,the quick brown fox\n" % number for number in range(100_000))


def compressed(data: bytes, name: str) -> bytes:
    out = Collected()
    assert formats.compress(io.BytesIO(data), out, name) == len(data)
    return bytes(out)


def decompressed(data: bytes, name: str, size: int = 65536) -> bytes:
    with formats.decompressing(io.BytesIO(data), name) as stream:
        return b"".join(iter(lambda: stream.read(size), b""))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("data", [b"", b"x", DATA])
def test_round_trip(name: str, data: bytes) -> None:
    """What is compressed comes back, also nothing at all."""
    assert decompressed(compressed(data, name), name) == data


@pytest.mark.parametrize("name", NAMES)
def test_reads_fill(name: str) -> None:
    """read(n) gives n bytes until the end is near, and read() all."""
    packed = compressed(DATA, name)
    with formats.decompressing(io.BytesIO(packed), name) as stream:
        assert len(stream.read(1_000_000)) == 1_000_000
        assert len(stream.read()) == len(DATA) - 1_000_000
        assert stream.read(1) == b""


def test_other_programs_read_it() -> None:
    """The standard library and the gzip program agree."""
    packed = compressed(DATA, "gzip")
    assert gzip.decompress(packed) == DATA
    gzip_program = shutil.which("gzip")
    assert gzip_program, "the gzip program is part of every system these tests run on"
    assert subprocess.run([gzip_program, "-dc"], input=packed, capture_output=True, check=True).stdout == DATA


def test_zstd_carries_a_checksum() -> None:
    """A flipped bit in a zstd stream is found by any reader."""
    packed = compressed(DATA, "zstd")
    assert zstandard.get_frame_parameters(packed).has_checksum


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("data", [b"", b"x", DATA])
def test_a_failing_stream_never_gets_an_end_mark(name: str, data: bytes) -> None:
    """The defect this project exists to avoid: a stream that died must not decompress as a shorter one."""
    out = Collected()
    with pytest.raises(Fails):
        formats.compress(FailingStream(data), out, name)
    if out:
        with pytest.raises(SourceError, match="before its end"):
            decompressed(bytes(out), name)
    if name == "gzip":
        unfinished = zlib.decompressobj(wbits=31)
        unfinished.decompress(bytes(out))
        assert not unfinished.eof


@pytest.mark.parametrize("name", NAMES)
def test_an_abort_of_the_pipe_passes_through(name: str) -> None:
    """The very exception that the writing side aborts with is raised by compress, whose output has no end mark."""
    error = Fails("half-way")
    reader, writer = pipe(len(DATA))
    writer.write(DATA)
    writer.abort(error)
    out = Collected()
    with pytest.raises(Fails) as caught:
        formats.compress(reader, out, name)
    assert caught.value is error
    reader.close()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kept", [1, 5, 100, -100, -9, -8, -4, -1])
def test_cut_data_is_an_error(name: str, kept: int) -> None:
    """Wherever compressed data is cut, reading it raises instead of ending."""
    with pytest.raises(SourceError, match=r"stops after \d+ bytes, before its end"):
        decompressed(compressed(DATA, name)[:kept], name)


@pytest.mark.parametrize("name", NAMES)
def test_no_data_at_all_is_an_error(name: str) -> None:
    """An empty file is not a compressed file: something cut it at its beginning."""
    with pytest.raises(SourceError, match="empty"):
        decompressed(b"", name)


@pytest.mark.parametrize("name", NAMES)
def test_damaged_data_is_an_error(name: str) -> None:
    """A flipped bit, and data of another kind, are named as such."""
    packed = bytearray(compressed(DATA, name))
    packed[len(packed) // 2] ^= 0x10
    for damaged in (bytes(packed), b"id,name\n1,x\n", compressed(DATA, name) + b"trailing garbage"):
        with pytest.raises(SourceError, match=f"damaged {name} data") as caught:
            decompressed(damaged, name)
        assert caught.value.__cause__ is not None


@pytest.mark.parametrize("name", NAMES)
def test_members_one_after_another_read_as_one(name: str) -> None:
    """`cat a.gz b.gz` is a valid file, and the second may not be cut either."""
    packed = compressed(b"first ", name) + compressed(b"second", name)
    assert decompressed(packed, name) == b"first second"
    with pytest.raises(SourceError, match="before its end"):
        decompressed(packed[:-3], name)


class _Padded(CountingStream):
    """Some bytes, and then so many zeros."""

    def __init__(self, data: bytes, zeros: int) -> None:
        super().__init__(b"\0" * (1 << 16), zeros)
        self._data = data

    def read(self, size: int = -1, /) -> bytes:
        data, self._data = self._data, b""
        return data or super().read(size)


@pytest.mark.parametrize("zeros", [1, 511, 300_000])
@pytest.mark.parametrize("data", [b"", b"x", DATA])
def test_zeros_after_gzip_are_passed_over(data: bytes, zeros: int) -> None:
    """As gzip itself does: tapes, and whoever writes in whole blocks, fill the last one up."""
    packed = compressed(data, "gzip") + b"\0" * zeros
    assert subprocess.run(["gzip", "-dc"], input=packed, capture_output=True, check=True).stdout == data
    assert decompressed(packed, "gzip") == data


@pytest.mark.parametrize("behind", [b"\0x", b"\0" * 300_000 + b"x", b"\0" * 9 + compressed(b"more", "gzip"), b"x\0\0"])
def test_anything_else_after_gzip_is_an_error(behind: bytes) -> None:
    """Also behind zeros, and also if it is gzip: nobody knows why it stands there."""
    with pytest.raises(SourceError, match="damaged gzip data within"):
        decompressed(compressed(DATA, "gzip") + behind, "gzip")


def test_zeros_do_not_hide_that_gzip_was_cut() -> None:
    """A disk that was full may leave zeros where the rest should be; and zeros alone are no gzip."""
    packed = compressed(DATA, "gzip")
    for data in (
        packed[:-8] + b"\0" * 8,
        packed[: len(packed) // 2] + b"\0" * len(packed),
        packed[:-4] + b"\0" * 600,
        b"\0" * 600,
    ):
        with pytest.raises(SourceError):
            decompressed(data, "gzip")


def test_zeros_after_gzip_stay_bounded() -> None:
    """However many there are."""
    packed = compressed(b"x", "gzip")
    tracemalloc.start()
    try:
        with formats.decompressing(_Padded(packed, 256 << 20), "gzip") as stream:
            assert stream.read() == b"x"
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("error", [Fails("x"), BrokenError("the pipe broke"), OSError("the disk broke")])
def test_errors_of_the_stream_pass_as_they_are(name: str, error: Exception) -> None:
    """What the compressed stream raises is not taken for damaged data, even if it is an OSError."""
    stream = FailingStream(compressed(DATA, name)[:-20], error)
    with formats.decompressing(stream, name) as reader, pytest.raises(type(error)) as caught:
        while reader.read(1 << 20):
            pass
    assert caught.value is error
    assert not stream.closed


@pytest.mark.parametrize("name", NAMES)
def test_expanding_data_stays_bounded(name: str) -> None:
    """A megabyte that expands to a gigabyte is handed out piece by piece."""
    packed = Collected()
    total = 256 << 20
    formats.compress(CountingStream(b"\0" * (1 << 20), total), packed, name)  # type: ignore[arg-type]
    assert len(packed) < total // 500
    tracemalloc.start()
    try:
        with formats.decompressing(io.BytesIO(packed), name) as stream:
            size = sum(len(chunk) for chunk in iter(lambda: stream.read(1 << 16), b""))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size == total
    assert peak < 4 << 20


def test_unknown_compression_is_a_configuration_error() -> None:
    """Both directions name what there is."""
    with pytest.raises(ConfigurationError, match="did you mean 'gzip'"):
        formats.compress(io.BytesIO(), Collected(), "gz")
    with pytest.raises(ConfigurationError, match="known are gzip, zstd"), formats.decompressing(io.BytesIO(), "lzma"):
        pass


@pytest.mark.parametrize(("low", "high"), [("gzip:1", "gzip:9"), ("zstd:1", "zstd:19")])
def test_a_level_makes_it_smaller(low: str, high: str) -> None:
    """name:level; a higher one takes longer and leaves less."""
    name = low.partition(":")[0]
    sizes = []
    for level in (low, high):
        out = Collected()
        formats.compress(io.BytesIO(DATA), out, level)
        assert decompressed(bytes(out), name) == DATA
        sizes.append(len(out))
    assert sizes[1] < sizes[0]


@pytest.mark.parametrize("text", ["gzip:0", "gzip:10", "gzip:", "gzip:x", "zstd:22", "zstd:-1"])
def test_a_level_that_does_not_exist_is_a_configuration_error(text: str) -> None:
    """It says which there are."""
    with pytest.raises(ConfigurationError, match=r"no such level; (gzip has 1 to 9|zstd has 1 to 19)"):
        formats.split_compression(text)
