"""Arrow IPC keeps every type, is read and written from beginning to end, and has an end."""

from __future__ import annotations

import datetime as dt
import io
from decimal import Decimal

import pyarrow as pa
import pytest

from penstock import formats
from penstock.errors import BudgetExceeded, ConfigurationError, SourceError
from penstock.flow.views import without_views
from penstock.formats.arrow import ArrowFile, ArrowStream
from tests.formats.streams import Collected, Table, decoded, encoded

NAMES = ["arrow", "arrows"]
MOMENT = dt.datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC)
EVERY_TYPE = pa.table(
    {
        "dec": pa.array([Decimal("1.10"), None], pa.decimal128(38, 2)),
        "big": pa.array([Decimal(10) ** 70, None], pa.decimal256(76, 2)),
        "tz": pa.array([MOMENT, None], pa.timestamp("us", "Europe/Berlin")),
        "ns": pa.array([2**62, None], pa.timestamp("ns")),
        "half": pa.array([1.5, None], pa.float16()),
        "span": pa.array([dt.timedelta(seconds=1), None]),
        "interval": pa.array([(1, 2, 3), None], pa.month_day_nano_interval()),
        "dict": pa.array(["x", None]).dictionary_encode(),
        "large": pa.array(["x", None], pa.large_string()),
        "view": pa.array(["a string that is longer than twelve bytes", None], pa.string_view()),
        "list": pa.array([[{"k": b"\0\xff"}], None]),
        "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
        "uuid": pa.array([bytes(16), None], pa.uuid()),
        "u8": pa.array([2**64 - 1, None], pa.uint64()),
        "none": pa.nulls(2),
    }
)


class ReadOnly:
    """A stream that can only be read on and on."""

    def __init__(self, data: bytes) -> None:
        self._stream = io.BytesIO(data)

    def read(self, size: int = -1, /) -> bytes:
        return self._stream.read(size)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("codec", ["none", "lz4", "zstd"])
def test_every_type_comes_back(name: str, codec: str) -> None:
    """Exactly, with its type but for views, whatever the buffers are compressed with, and without seeking."""
    out = Collected()
    fmt = formats.format_by_name(name, {"codec": codec})
    assert fmt.encode(Table(EVERY_TYPE), out) == 2
    with fmt.decode(ReadOnly(bytes(out))) as batches:  # type: ignore[arg-type]
        read = pa.Table.from_batches(list(batches), batches.schema)
    assert read.equals(EVERY_TYPE.cast(without_views(EVERY_TYPE.schema)))


def test_arrow_itself_reads_and_writes_the_same() -> None:
    """Files and streams of pyarrow are ours, and ours are pyarrow's."""
    table = pa.table({"a": [1, 2], "b": ["x", None]})
    assert pa.ipc.open_file(encoded("arrow", Table(table))).read_all().equals(table)
    assert pa.ipc.open_stream(encoded("arrows", Table(table))).read_all().equals(table)
    for maker in (pa.ipc.new_file, pa.ipc.new_stream):
        sink = pa.BufferOutputStream()
        with maker(sink, table.schema) as writer:
            writer.write_table(table)
        for name in NAMES:  # what is asked for as one is recognised as the other
            assert decoded(name, sink.getvalue().to_pybytes()).equals(table)


@pytest.mark.parametrize("name", NAMES)
def test_no_rows_and_no_columns(name: str) -> None:
    """Both have a schema all the same."""
    empty = pa.table({"a": pa.array([], pa.int8())})
    assert decoded(name, encoded(name, Table(empty))).schema == empty.schema
    assert decoded(name, encoded(name, Table(pa.table({})))).num_columns == 0


def test_large_batches_are_handed_on_in_pieces() -> None:
    """Whoever wrote the data chose the size of its batches; who reads it has a budget."""
    table = pa.table({"a": range(100_000)})
    with ArrowFile().sized(10_000).decode(io.BytesIO(encoded("arrow", Table(table)))) as batches:
        read = list(batches)
    assert all(batch.nbytes <= 10_000 for batch in read)
    assert pa.Table.from_batches(read).equals(table)


def test_a_batch_beyond_bounds_is_refused() -> None:
    """Before it is read, with what to do about it."""
    data = encoded("arrows", Table(pa.table({"a": range(100_000)})))
    with pytest.raises(BudgetExceeded, match=r"a batch of 781\.\d KiB .* larger than 64\.0 KiB; .*max_batch_bytes"):
        with ArrowStream(max_batch_bytes=64 << 10).decode(io.BytesIO(data)) as batches:
            list(batches)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty, where Arrow data should be"),
        (b"id,name\n1,x\n", "it does not begin as Arrow data does"),
        (b"FEA1....", "it does not begin as Arrow data does"),
        (b"ARROW", "it does not begin as Arrow data does"),
        (b"\xff\xff\xff\xff\x10\0\0\0" + b"x" * 100, "damaged Arrow data within its first 24 bytes"),
    ],
)
def test_what_is_no_arrow_is_an_error(data: bytes, said: str) -> None:
    """One clear line."""
    with pytest.raises(SourceError) as caught:
        decoded("arrow", data)
    assert str(caught.value).startswith(said)


def test_two_streams_in_one_are_refused() -> None:
    """The second would be lost without a word."""
    data = encoded("arrows", Table(pa.table({"a": [1]})))
    with pytest.raises(SourceError, match="goes on after its end"):
        decoded("arrows", data + data)


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        (pa.schema([("b", pa.int64())]), "the columns are ['a'], not ['b'] as expected"),
        (pa.schema([("a", pa.int32())]), "column 'a' is int64, not int32 as expected"),
    ],
)
def test_other_columns_than_expected_are_refused(expected: pa.Schema, said: str) -> None:
    """By name, with both types."""
    with pytest.raises(SourceError) as caught:
        decoded("arrow", encoded("arrow", Table(pa.table({"a": [1]}))), expected)
    assert str(caught.value) == said


def test_a_changing_dictionary_goes_into_a_stream_only() -> None:
    """The file format does not allow it, and says what does."""
    batches = [pa.array([text]).dictionary_encode() for text in ("x", "y")]
    table = pa.table({"a": pa.chunked_array(batches)})
    assert decoded("arrows", encoded("arrows", Table(table)))["a"].to_pylist() == ["x", "y"]
    with pytest.raises(ConfigurationError, match="--format arrows"):
        encoded("arrow", Table(table))
