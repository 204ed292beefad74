"""Columns with a dictionary, however large it is and however often a value of it is there."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock import formats
from penstock.flow.sizes import own_bytes
from penstock.formats._sizes import pieces
from penstock.formats.arrow import ArrowFile, ArrowStream
from penstock.formats.parquet import Parquet
from tests.formats.streams import Collected, Table, decoded, encoded

ROWS = 20_000
LARGE = pa.DictionaryArray.from_arrays(
    pa.array(range(ROWS), pa.int32()), pa.array([f"{row:0100}" for row in range(ROWS)])
)
TABLE = pa.table({"id": pa.array(range(ROWS)), "text": LARGE})
[BATCH] = TABLE.to_batches()


class Watching(Collected):
    """A writer that forgets what it is given, and knows the most that Arrow held meanwhile."""

    held = 0
    size = 0

    def write(self, data: bytes, /) -> int:
        self.held = max(self.held, pa.total_allocated_bytes())
        self.size += len(data)
        return len(data)


def test_a_batch_is_not_cut_for_what_its_pieces_share() -> None:
    """A dictionary larger than a piece may be leaves the rows together; what is theirs alone is bounded as ever."""
    assert own_bytes(BATCH) == ROWS * 12
    assert list(pieces(BATCH, 1 << 18)) == [BATCH]
    cut = list(pieces(BATCH, 1 << 16))
    assert len(cut) == 4
    assert max(map(own_bytes, cut)) <= 1 << 16
    assert pa.Table.from_batches(cut).equals(TABLE)


@pytest.mark.parametrize(
    "reader",
    [Parquet(batch_bytes=1 << 18), ArrowFile(batch_bytes=1 << 18), ArrowStream(batch_bytes=1 << 18)],
    ids=lambda reader: reader.name,
)
def test_a_large_dictionary_comes_back(reader: Parquet | ArrowFile | ArrowStream) -> None:
    """With its values, from batches smaller than it."""
    data = encoded(reader.name, Table(TABLE))
    with reader.decode(io.BytesIO(data)) as batches:
        read = list(batches)
    assert len(read) < 10
    assert pa.Table.from_batches(read).cast(pa.schema([("id", pa.int64()), ("text", pa.string())])).to_pydict() == {
        "id": list(range(ROWS)),
        "text": LARGE.to_pylist(),
    }


def test_row_groups_are_not_smaller_for_a_large_dictionary() -> None:
    """They have as many rows as are large enough without it."""
    out = Collected()
    assert Parquet(row_group_bytes=1 << 18).encode(Table(TABLE, 1000), out) == ROWS
    assert pq.ParquetFile(io.BytesIO(bytes(out))).metadata.num_row_groups == 1


@pytest.mark.parametrize("name", ["csv", "ndjson", "json"])
@pytest.mark.parametrize("text", [pa.string(), pa.large_string()], ids=str)
def test_a_long_text_that_is_there_often_is_held_a_few_times_only(name: str, text: pa.DataType) -> None:
    """A batch of some KiB that stands for 400 MiB is written a slice at a time."""
    long = "long text " * 10_000
    indices = pa.array([0, 1] * 4000, pa.int8())
    batch = pa.table({"text": pa.DictionaryArray.from_arrays(indices, pa.array([long, "b"], text))})
    before, out = pa.total_allocated_bytes(), Watching()
    assert formats.format_by_name(name).encode(Table(batch), out) == 8000
    assert out.size > 4000 * len(long)
    assert out.held - before < 64 << 20


def test_values_of_every_kind_are_written_in_slices() -> None:
    """Numbers, NULL, and a dictionary without values."""
    numbers = pa.array([1, None, 1], pa.int64()).dictionary_encode()
    nothing = pa.DictionaryArray.from_arrays(pa.nulls(3, pa.int8()), pa.array([], pa.string()))
    runs = pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), pa.array(["x", None]))
    table = pa.table({"n": numbers, "none": nothing, "runs": runs})
    assert encoded("csv", Table(table)) == b'n,none,runs\n1,,"x"\n,,"x"\n1,,\n'
    assert decoded("ndjson", encoded("ndjson", Table(table)))["n"].to_pylist() == [1, None, 1]
