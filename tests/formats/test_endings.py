"""What has failed is never finished: no format and no compression writes its end after an error."""

from __future__ import annotations

import gc
import io
from collections.abc import Iterator

import pyarrow as pa
import pytest

from penstock import formats
from penstock.core.pipe import pipe
from penstock.errors import Cancelled, SourceError
from tests.core.threads import PATIENCE, start
from tests.formats.streams import Collected, Fails, Table, encoded

TABLE = pa.table({"a": range(10_000), "b": [f"value {number}" for number in range(10_000)]})
ENDS = {"json": b"]\n", "arrow": b"ARROW1", "arrows": b"\xff\xff\xff\xff\0\0\0\0", "parquet": b"PAR1"}
ERRORS = [Fails("half-way"), Cancelled("stop"), OSError("disk")]


class FailingTable(Table):
    """Gives its batches, and raises where their end would be."""

    def __init__(self, error: BaseException, table: pa.Table = TABLE) -> None:
        super().__init__(table, rows_per_batch=1000)
        self._error = error

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        yield from super().__iter__()
        raise self._error


class FailingWriter:
    """Takes so many bytes, then raises; never to be written to again."""

    def __init__(self, room_bytes: int, error: BaseException) -> None:
        self.taken = bytearray()
        self._room_bytes = room_bytes
        self._error = error
        self.failed = 0

    def write(self, data: bytes, /) -> int:
        if len(self.taken) + len(data) > self._room_bytes:
            self.failed += 1
            raise self._error
        self.taken += data
        return len(data)


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("table", [TABLE, TABLE.slice(0, 0)], ids=["rows", "no rows"])
def test_a_failing_source_never_makes_a_complete_file(name: str, error: BaseException, table: pa.Table) -> None:
    """The very exception comes out, and what was written is refused by our reader, also once garbage is collected."""
    out = Collected()
    with pytest.raises(type(error)) as caught:
        formats.format_by_name(name).encode(FailingTable(error, table), out)
    assert caught.value is error
    del caught
    gc.collect()
    assert not out.endswith(ENDS[name])
    with pytest.raises(SourceError):
        with formats.format_by_name(name).decode(io.BytesIO(out)) as batches:
            list(batches)


@pytest.mark.parametrize("name", formats.format_names())
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_failing_pipe_is_told_nothing_more(name: str, error: BaseException) -> None:
    """When writing fails, that exception comes out as it is, and nothing is written after it."""
    for room in (0, 10, len(encoded(name, Table(TABLE))) - 1):
        out = FailingWriter(room, error)
        with pytest.raises(type(error)) as caught:
            formats.format_by_name(name).encode(Table(TABLE, rows_per_batch=1000), out)
        assert caught.value is error
        del caught
        gc.collect()
        assert out.failed == 1


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("compression", formats.compression_names())
def test_an_error_goes_through_encoder_compressor_and_pipe(name: str, compression: str) -> None:
    """All three in a row: the reader at the end of the last pipe raises the source's own exception."""
    error = Fails("the source died")
    encoded_reader, encoded_writer = pipe()
    packed_reader, packed_writer = pipe()

    def encode() -> None:
        with encoded_writer:
            formats.format_by_name(name).encode(FailingTable(error), encoded_writer)

    def compress() -> None:
        with packed_writer, encoded_reader:
            formats.compress(encoded_reader, packed_writer, compression)

    stages = [start(encode), start(compress)]
    with packed_reader, pytest.raises(Fails) as caught:
        packed_reader.read()
    assert caught.value is error
    for stage in stages:
        with pytest.raises(Fails) as raised:
            stage.result(PATIENCE)
        assert raised.value is error


@pytest.mark.parametrize("name", ENDS)
def test_a_file_cut_anywhere_is_an_error(name: str) -> None:
    """At every byte of its beginning and its end, and at many in between."""
    data = encoded(name, Table(TABLE.slice(0, 300), rows_per_batch=100))
    cuts = {*range(40), *range(len(data) - 40, len(data)), *range(0, len(data), len(data) // 50)} - {len(data)}
    if name == "json":
        cuts -= {len(data) - 1}  # the line end behind the closing bracket
    for cut in sorted(cuts):
        with pytest.raises(SourceError):
            with formats.format_by_name(name).decode(io.BytesIO(data[:cut])) as batches:
                list(batches)


@pytest.mark.parametrize("name", ["arrow", "arrows", "parquet"])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors_of_the_stream_pass_as_they_are(name: str, error: BaseException) -> None:
    """What the stream raises while Arrow reads it is not taken for damaged data, even if it is an OSError."""
    data = encoded(name, Table(TABLE, rows_per_batch=1000))

    class Dying(io.BytesIO):
        reads = 0

        def read(self, size: int | None = -1, /) -> bytes:
            self.reads += 1
            if self.reads > 2:
                raise error
            return super().read(size)

    stream = Dying(data)
    with pytest.raises(type(error)) as caught:
        with formats.format_by_name(name).decode(stream) as batches:
            list(batches)
    assert caught.value is error
    assert not stream.closed
