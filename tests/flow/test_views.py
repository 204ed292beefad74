"""Views of Arrow become columns whose slices know how large they are."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from penstock.flow.views import without_views, without_views_in

LONG = "longer than the twelve bytes that a view has room for"
TEXT, BYTES = pa.string_view(), pa.binary_view()


def batch_of(column: pa.Array[Any]) -> pa.RecordBatch:
    """A batch with this column."""
    return pa.RecordBatch.from_arrays([column], names=["a"])


def plain(batch: pa.RecordBatch, most_bytes: int = 1 << 20) -> list[pa.RecordBatch]:
    """The batch without views."""
    return list(without_views_in(batch, without_views(batch.schema), most_bytes))


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (pa.array([LONG, "", None], TEXT), pa.string()),
        (pa.array([LONG.encode(), b"", None], BYTES), pa.binary()),
        (pa.array([[LONG, None], [], None], pa.list_(TEXT)), pa.list_(pa.string())),
        (pa.array([[LONG], [], None], pa.large_list(BYTES)), pa.large_list(pa.binary())),
        (pa.array([[LONG], ["b"], None], pa.list_(TEXT, 1)), pa.list_(pa.string(), 1)),
        (pa.array([[("k", LONG)], [], None], pa.map_(TEXT, TEXT)), pa.map_(pa.string(), pa.string())),
        (
            pa.array(
                [{"x": [LONG], "n": 1}, {"x": None, "n": 2}, None], pa.struct([("x", pa.list_(TEXT)), ("n", "int8")])
            ),
            pa.struct([("x", pa.list_(pa.string())), ("n", "int8")]),
        ),
        (
            pa.DictionaryArray.from_arrays(pa.array([0, 1, None], pa.int8()), pa.array([LONG, "b"], TEXT)),
            pa.dictionary(pa.int8(), pa.string()),
        ),
    ],
    ids=lambda given: str(given) if isinstance(given, pa.DataType) else "",
)
def test_values_stay(column: pa.Array[Any], kind: pa.DataType) -> None:
    """Wherever a view is, what is there instead has the same values, and NULL where there was one."""
    batch = batch_of(column)
    [copied] = plain(batch)
    copied.validate(full=True)
    assert copied.schema.field("a").type == kind
    assert copied.to_pylist() == batch.to_pylist()


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.map_(pa.string(), pa.int8()),
        pa.dictionary(pa.int8(), pa.string()),
        pa.list_view(pa.int8()),
        pa.uuid(),
    ],
    ids=str,
)
def test_without_views_nothing_changes(kind: pa.DataType) -> None:
    """Neither the schema nor the batch is another object."""
    schema = pa.schema([pa.field("a", kind)], {"k": "v"})
    assert without_views(schema) is schema
    batch = pa.RecordBatch.from_pylist([{"a": None}], schema=schema)
    assert plain(batch)[0] is batch


def test_what_is_noted_on_columns_stays() -> None:
    """Metadata, and that there is no NULL."""
    field = pa.field("a", TEXT, nullable=False, metadata={"k": "v"})
    schema = without_views(pa.schema([field], {"of": "all"}))
    assert schema.field("a").equals(
        pa.field("a", pa.string(), nullable=False, metadata={"k": "v"}), check_metadata=True
    )
    assert schema.metadata == {b"of": b"all"}


def test_a_slice_of_a_large_table_is_copied_in_pieces() -> None:
    """A slice counts as large as all that it was cut from; still pieces soon have the size that was asked for, and all rows."""
    whole = batch_of(pa.array([f"{number} {LONG}" for number in range(200_000)], TEXT))
    piece = whole.slice(100_000, 10_000)
    copied = plain(piece, 64 << 10)
    assert [row for each in copied for row in each.to_pylist()] == piece.to_pylist()
    assert max(each.nbytes for each in copied) <= 2 * (64 << 10)
    assert len(copied) < 40


def test_no_few_rows_are_cut_off() -> None:
    """What seems a little too large comes whole: each batch costs the same time, however few rows it has."""
    batch = batch_of(pa.array([f"{number} {LONG}" for number in range(1000)], TEXT))
    assert [each.num_rows for each in plain(batch, batch.nbytes * 99 // 100)] == [1000]


def test_one_wide_row_comes_with_few_others() -> None:
    """Rows at a time follow what was seen: after a wide value there are fewer, and then more again."""
    texts = [LONG] * 5000
    texts[100] = "w" * (1 << 20)
    copied = plain(batch_of(pa.array(texts, TEXT)), 64 << 10)
    assert [row["a"] for each in copied for row in each.to_pylist()] == texts
    assert max(each.nbytes for each in copied) <= (1 << 20) + (128 << 10)
