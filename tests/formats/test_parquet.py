"""Parquet keeps types and values, in row groups and batches bounded in bytes."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock import formats
from penstock.errors import ConfigurationError, SourceError
from penstock.flow.views import without_views
from penstock.formats.parquet import Parquet
from tests.formats.streams import Collected, Table, decoded, encoded

MOMENT = dt.datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC)
EXACT = {
    "dec": pa.array([Decimal("-1.10"), None], pa.decimal128(38, 2)),
    "big": pa.array([Decimal(10) ** 70, None], pa.decimal256(76, 2)),
    "tz": pa.array([MOMENT, None], pa.timestamp("us", "Europe/Berlin")),
    "us": pa.array([-(2**62), None], pa.timestamp("us")),
    "ns": pa.array([2**62, None], pa.timestamp("ns")),
    "time": pa.array([dt.time(23, 59, 59, 999999), None], pa.time64("us")),
    "date": pa.array([dt.date(9999, 12, 31), None]),
    "half": pa.array([1.5, None], pa.float16()),
    "nan": pa.array([float("nan"), float("-inf")]),
    "span": pa.array([dt.timedelta(microseconds=1), None]),
    "dict": pa.array(["x", None]).dictionary_encode(),
    "large": pa.array(["x", None], pa.large_string()),
    "view": pa.array(["a string that is longer than twelve bytes", None], pa.string_view()),
    "bytes": pa.array([b"\0\xff", None]),
    "fixed": pa.array([b"abc", None], pa.binary(3)),
    "list": pa.array([[{"k": b"\0\xff", "l": [1, None]}], None]),
    "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
    "uuid": pa.array([bytes(16), None], pa.uuid()),
    "u8": pa.array([2**64 - 1, None], pa.uint64()),
    "i8": pa.array([-(2**63), None]),
    "none": pa.nulls(2),
    "empty": pa.array(["", None]),
}


def metadata(data: bytes) -> Any:
    """What pyarrow says of the file."""
    return pq.ParquetFile(io.BytesIO(data)).metadata


class NoRows:
    """No batches of a schema, also of one that Arrow can make no empty table of."""

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return iter(())


def test_batches_of_a_file_with_views_are_bounded() -> None:
    """Files that say that their text is to be read as views: neither is a batch too large, nor is it cut row by row."""
    views = pa.array(
        [f"{number}: a string that is longer than twelve bytes" for number in range(50_000)], pa.string_view()
    )
    data = encoded("parquet", Table(pa.table({"a": views})))
    with Parquet(batch_bytes=256 << 10).decode(io.BytesIO(data)) as batches:
        assert batches.schema.field("a").type == pa.string()
        read = list(batches)
    assert max(batch.nbytes for batch in read) <= 256 << 10
    assert len(read) < 40
    assert pa.Table.from_batches(read).column("a").to_pylist() == views.to_pylist()


def test_types_and_values_come_back() -> None:
    """Exactly, NULL apart from the empty string; what was a view has offsets."""
    table = pa.table(EXACT)
    read = decoded("parquet", encoded("parquet", Table(table)))
    assert read.schema == without_views(table.schema)
    nan = read["nan"].to_pylist()
    assert str(nan) == "[nan, -inf]"
    assert read.drop(["nan"]).equals(table.cast(read.schema).drop(["nan"]))


def test_units_that_parquet_has_not_got_become_finer_ones() -> None:
    """Seconds are written as milliseconds; the values are the same."""
    table = pa.table({"t": pa.array([1, None], pa.timestamp("s"))})
    read = decoded("parquet", encoded("parquet", Table(table)))
    assert read.schema.field("t").type == pa.timestamp("ms")
    assert read["t"].to_pylist() == table["t"].to_pylist()


def test_a_value_that_parquet_can_not_hold_is_an_error_of_ours() -> None:
    """Seconds so far away that they have no milliseconds."""
    table = pa.table({"t": pa.array([2**62], pa.timestamp("s"))})
    with pytest.raises(ConfigurationError, match=r"Parquet can not hold a value: .*overflow"):
        encoded("parquet", Table(table))


@pytest.mark.parametrize(
    "kind",
    [
        pa.month_day_nano_interval(),
        pa.struct([]),
        pa.list_(pa.month_day_nano_interval()),
        pa.dense_union([pa.field("i", pa.int32())]),
        pa.run_end_encoded(pa.int32(), pa.string()),
    ],
    ids=str,
)
def test_what_parquet_can_not_hold_is_refused_by_name(kind: pa.DataType) -> None:
    """Before anything is written, also when there are no rows."""
    schema = pa.schema([("fine", pa.int64()), ("odd", kind)])
    out = Collected()
    with pytest.raises(ConfigurationError, match=r"column 'odd' is .*, which Parquet has no type for"):
        Parquet().encode(NoRows(schema), out)
    assert not out


def test_no_columns_are_refused() -> None:
    """Such a file could not even say how many rows there are."""
    with pytest.raises(ConfigurationError, match="no columns"):
        encoded("parquet", Table(pa.table({})))


def test_no_rows_have_a_schema() -> None:
    """A complete file without row groups."""
    empty = pa.table({"a": pa.array([], pa.decimal128(12, 2))})
    data = encoded("parquet", Table(empty))
    assert metadata(data).num_row_groups == 0
    assert decoded("parquet", data).schema == empty.schema


def test_columns_may_share_a_name() -> None:
    """SELECT 1 AS a, 2 AS a makes two columns, which stay two."""
    table = pa.Table.from_arrays([pa.array([1]), pa.array(["x"])], names=["a", "a"])
    assert [column.to_pylist() for column in decoded("parquet", encoded("parquet", Table(table))).columns] == [
        [1],
        ["x"],
    ]


def test_row_groups_are_bounded_in_bytes() -> None:
    """Narrow rows are many to a group, wide ones few, in whatever batches they come; a single row is never cut."""
    wide = ["x" * 10_000] * 50 + ["y" * 300_000] + ["z"] * 5000
    table = pa.table({"t": wide})
    for rows_per_batch in (1, 7, None):
        out = Collected()
        Parquet(row_group_bytes=100_000).encode(Table(table, rows_per_batch), out)
        groups = metadata(bytes(out))
        counts = [groups.row_group(index).num_rows for index in range(groups.num_row_groups)]
        start = 0
        for count in counts:
            assert count == 1 or table.slice(start, count).nbytes <= 100_000
            start += count
        assert start == table.num_rows
        assert decoded("parquet", bytes(out)).equals(table)


def test_bytes_leave_row_group_by_row_group() -> None:
    """A long table does not wait in memory for its end."""
    out = Collected()
    seen = []

    class Watching(Table):
        def __iter__(self) -> Any:
            for batch in super().__iter__():
                seen.append(len(out))
                yield batch

    table = pa.table({"a": [str(number * 7919) for number in range(200_000)]})
    Parquet(row_group_bytes=500_000, codec="none").encode(Watching(table, 10_000), out)
    assert seen[-1] > len(out) // 2


@pytest.mark.parametrize(
    ("codec", "named"),
    [
        (None, "ZSTD"),
        ("zstd:9", "ZSTD"),
        ("snappy", "SNAPPY"),
        ("gzip:1", "GZIP"),
        ("lz4", "LZ4"),
        ("brotli:0", "BROTLI"),
        ("none", "UNCOMPRESSED"),
    ],
)
def test_pages_are_compressed_as_asked_for(codec: str | None, named: str) -> None:
    """It is zstd unless told otherwise, some with a level."""
    out = Collected()
    formats.format_by_name("parquet", {"codec": codec}).encode(Table(pa.table({"a": range(1000)})), out)
    assert metadata(bytes(out)).row_group(0).column(0).compression == named


@pytest.mark.parametrize("codec", ["zst", "snappy:1", "zstd:99", "gzip:x", "gzip:0"])
def test_a_codec_that_does_not_exist_is_refused(codec: str) -> None:
    """With what there is."""
    with pytest.raises(ConfigurationError, match=r"the format 'parquet' can not have codec=.*it takes zstd, gzip"):
        formats.format_by_name("parquet", {"codec": codec})


def test_batches_are_bounded_in_bytes_when_reading() -> None:
    """Whatever the size of the row groups, and also where a long text is stored once and meant often."""
    texts = ["x" * 2_000, "y" * 3_000] * 5_000
    table = pa.table({"n": range(10_000), "t": texts})
    sink = io.BytesIO()
    pq.write_table(table, sink)
    with Parquet().sized(100_000).decode(sink) as batches:
        assert batches.total_rows == 10_000  # type: ignore[attr-defined]
        read = list(batches)
    assert max(batch.nbytes for batch in read) <= 100_000
    assert pa.Table.from_batches(read).equals(table)


def test_only_wanted_columns_are_read() -> None:
    """Those of others are not even looked at: damage in them is not found."""
    table = pa.table({"a": range(10_000), "b": [str(number) for number in range(10_000)], "c": range(10_000)})
    data = bytearray(encoded("parquet", Table(table)))
    where = metadata(bytes(data)).row_group(0).column(1)
    data[where.data_page_offset + where.total_compressed_size // 2] ^= 0xFF
    with Parquet().projected(["c", "a"]).decode(io.BytesIO(data)) as batches:
        assert pa.Table.from_batches(list(batches)).equals(table.select(["c", "a"]))
    with pytest.raises(SourceError, match="damaged Parquet data"):
        decoded("parquet", bytes(data))


def test_what_is_no_parquet_is_an_error() -> None:
    """One clear line, with the reason of the library."""
    with pytest.raises(SourceError, match=r"damaged Parquet data: .* \(is it Parquet at all, and complete\?\)"):
        decoded("parquet", b"id,name\n1,x\n" * 10)


def test_other_columns_than_expected_are_refused() -> None:
    """By name, with both types."""
    with pytest.raises(SourceError, match="column 'a' is int64, not string as expected"):
        decoded("parquet", encoded("parquet", Table(pa.table({"a": [1]}))), pa.schema([("a", pa.string())]))


def test_decimals_of_few_digits_are_integers_and_come_back_exactly() -> None:
    """As other writers of today store them; those of more than 18 digits have no integer that is large enough."""
    kinds = [pa.decimal128(digits, 0) for digits in (9, 18, 19, 38)]
    most = [10**kind.precision - 1 for kind in kinds]
    columns = [pa.array([Decimal(each), None, Decimal(-each)], kind) for each, kind in zip(most, kinds, strict=True)]
    table = pa.table(columns, names=[str(kind) for kind in kinds])
    written = encoded("parquet", Table(table))
    stored = [metadata(written).row_group(0).column(index).physical_type for index in range(len(kinds))]
    assert stored == ["INT32", "INT64", "FIXED_LEN_BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY"]
    assert pq.read_table(io.BytesIO(written)).equals(table)
