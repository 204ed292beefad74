"""Columns turned into text in one go have the text that each value alone would have."""

from __future__ import annotations

import base64
import datetime as dt
import json
import uuid

import pyarrow as pa
import pytest
from hypothesis import given, strategies as st

from penstock.formats._as_text import base64_text, json_text, uuid_text

LAYOUTS = [pa.binary(), pa.large_binary(), pa.binary_view()]


@given(st.lists(st.none() | st.binary(max_size=9), max_size=8), st.integers(0, 3), st.sampled_from(LAYOUTS))
def test_base64(values: list[bytes | None], skipped: int, layout: pa.DataType) -> None:
    """Of any length, in any layout, from the middle of a longer column."""
    column = pa.array(values, layout)[skipped:]
    expected = [None if value is None else base64.b64encode(value).decode() for value in values[skipped:]]
    assert base64_text(column).to_pylist() == expected


def test_base64_of_a_fixed_number_of_bytes() -> None:
    """Hashes and the like."""
    column = pa.array([b"abcd", None, b"\0\xff\0\xff"], pa.binary(4))
    assert base64_text(column).to_pylist() == ["YWJjZA==", None, "AP8A/w=="]
    assert base64_text(column[2:]).to_pylist() == ["AP8A/w=="]


@given(st.lists(st.none() | st.uuids(), max_size=5), st.integers(0, 2))
def test_uuids(values: list[uuid.UUID | None], skipped: int) -> None:
    """As Python writes them."""
    storage = pa.array([None if value is None else value.bytes for value in values], pa.binary(16))
    column = pa.ExtensionArray.from_storage(pa.uuid(), storage)[skipped:]
    assert uuid_text(column).to_pylist() == [None if value is None else str(value) for value in values[skipped:]]


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@given(st.lists(st.none() | st.lists(st.none() | TEXTS, max_size=3), max_size=5), st.integers(0, 2))
def test_lists_as_json(values: list[list[str | None] | None], skipped: int) -> None:
    """Any text inside, also what other tools take for the end of a line; NULL is not the list of NULL."""
    column = pa.array(values, pa.list_(pa.string()))[skipped:]
    read = json_text(column).to_pylist()
    assert [None if text is None else json.loads(text) for text in read] == values[skipped:]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([dt.timedelta(seconds=1), None]), ["PT1S", None]),
        (pa.array([{"a": "x"}, {"a": None}, None]), ['{"a":"x"}', '{"a":null}', None]),
        (pa.array([], pa.list_(pa.int8())), []),
        (pa.array([None], pa.list_(pa.int8())), [None]),
    ],
)
def test_other_values_as_json(column: pa.Array, expected: list[str | None]) -> None:
    """Strings without their quotes, structs and NULL."""
    assert json_text(column).to_pylist() == expected
