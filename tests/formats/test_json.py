"""A JSON array of any size goes through memory record by record, and is complete or an error."""

from __future__ import annotations

import io
import json
import tracemalloc

import pyarrow as pa
import pytest
from hypothesis import given, strategies as st

from penstock import formats
from penstock.errors import BudgetExceeded, SourceError
from penstock.formats.json import Json
from tests.formats.streams import Collected, FailingStream, Fails, Table, decoded, encoded, rows, table_of

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
LEAVES = {"i": st.integers(-(2**63), 2**63 - 1), "s": TEXTS, "b": st.booleans()}
RECORDS = st.fixed_dictionaries(
    {**LEAVES, "o": st.fixed_dictionaries({**LEAVES, "l": st.lists(TEXTS, min_size=1, max_size=2)})}
)


@given(st.lists(RECORDS, min_size=1, max_size=4), st.sampled_from([None, 0, 1, "\t"]), st.integers(1, 40))
def test_what_the_standard_library_writes_is_read(
    records: list[dict[str, object]], indent: int | str | None, block_bytes: int
) -> None:
    """However it is laid out, and wherever a block of it ends: brackets and quotes in text are text."""
    text = json.dumps(records, indent=indent, ensure_ascii=False).encode()
    with Json(block_bytes=block_bytes).decode(io.BytesIO(text)) as batches:
        assert [row for batch in batches for row in batch.to_pylist()] == records


def test_it_is_written_a_record_a_line() -> None:
    """One array, in one or several batches, that any JSON parser takes."""
    table = pa.table({"a": [1, 2, 3], "b": ["x\ny", None, "},{"]})
    expected = b'[\n{"a":1,"b":"x\\ny"},\n{"a":2,"b":null},\n{"a":3,"b":"},{"}\n]\n'
    assert encoded("json", Table(table)) == encoded("json", Table(table, rows_per_batch=1)) == expected
    assert json.loads(expected) == table.to_pylist()


def test_no_rows_are_an_empty_array() -> None:
    """Both ways; batches without rows change nothing."""
    assert encoded("json", Table(pa.table({"a": pa.array([], pa.int64())}))) == b"[]\n"
    assert encoded("json", table_of(a=pa.array([], pa.int64()))) == b"[]\n"
    assert decoded("json", b" [ ] \n").num_rows == 0


def test_a_byte_order_mark_is_no_part_of_it() -> None:
    """Windows programs write one."""
    assert rows(decoded("json", b'\xef\xbb\xbf[{"a":1}]')) == [{"a": 1}]


def test_values_of_any_depth() -> None:
    """Deeper than the fast way goes, too."""
    deep: object = "x"
    for _ in range(20):
        deep = {"d": [deep]}
    assert rows(decoded("json", json.dumps([{"a": deep}, {"a": deep}]).encode())) == [{"a": deep}] * 2


@pytest.mark.parametrize(
    ("records", "text"),
    [
        ("items", b'{"items":[{"a":1},{"a":2}]}'),
        ("data.items", b'{"meta":{"items":[1]},"data":{"n":2,"items":[{"a":1},{"a":2}],"x":"]"},"next":null}'),
        ("data.items", b'\n{ "data" : { "items" : [ { "a" : 1 } , { "a" : 2 } ] } , "z" : -1.5e3 } '),
    ],
)
@pytest.mark.parametrize("block_bytes", [1, 1000])
def test_the_array_may_be_inside(records: str, text: bytes, block_bytes: int) -> None:
    """The option says where; everything around it is passed over."""
    with Json(records=records, block_bytes=block_bytes).decode(io.BytesIO(text)) as batches:
        assert [row for batch in batches for row in batch.to_pylist()] == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty, where a JSON array should be"),
        (b" \n", "byte 2: the text stops before its end"),
        (b"[", "byte 1: the text stops before its end"),
        (b'[{"a":1}', "record 1: the text stops before its end"),
        (b'[{"a":1},', "record 2: the text stops before its end"),
        (b'[{"a":1},{"a":"x', "record 2: the text stops before its end (Unterminated string"),
        (b'[{"a":1}] [', "byte 10: more after the end: ["),
        (b'{"a":1}', "byte 0: '[' expected, not {"),
        (b'[{"a":1} {"a":2}]', "record 1: ',' or ']' expected, not {"),
        (b'[{"a":1},{"a":tru e, "xxxxxxxxxxxxxxx":1}]', "record 2: not JSON: Expecting value"),
        (b'[{"a":1},[2]]', "record 2: not a JSON object: [2]"),
        (b'[{"a":1},{"a":"\xff"}]', "record 2: not UTF-8"),
        (b'[{"a":0.5},{"a":0.12345678901234567890}]', "record 2: 'a' is 0.12345678901234567890, which a double"),
    ],
)
def test_what_is_wrong_is_an_error_that_names_the_record(data: bytes, said: str) -> None:
    """Above all: an array without its closing bracket is not a shorter array."""
    with pytest.raises(SourceError) as caught:
        decoded("json", data)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{"x":[]}', "there is no field 'data' where data.items should be"),
        (b'{"data":{}}', "there is no field 'items'"),
        (b'{"data":{"items":{}}}', "byte 17: '[' expected"),
        (b'{"data":{"items":[]}', "byte 20: the text stops before its end"),
        (b"[]", "byte 0: '{' expected"),
    ],
)
def test_an_array_that_is_not_where_it_should_be(text: bytes, said: str) -> None:
    """The path is in the message; text that stops after the array was cut short all the same."""
    with pytest.raises(SourceError) as caught:
        with Json(records="data.items").decode(io.BytesIO(text)) as batches:
            list(batches)
    assert str(caught.value).startswith(said)


def test_an_endless_value_is_refused() -> None:
    """A string that is never closed does not go into memory whole; also beside the array."""
    for records, data in (("", b'[{"a":1},{"a":"'), ("x", b'{"y":"')):
        with pytest.raises(BudgetExceeded, match="is longer than"):
            with Json(records=records, max_record_bytes=1 << 20).decode(io.BytesIO(data + b"x" * (8 << 20))) as batches:
                list(batches)


def test_a_long_array_is_read_in_bounded_memory() -> None:
    """Some blocks of it at a time."""
    text = b"[" + b",".join([b'{"a":"%b"}' % (b"x" * 1000)] * 40_000) + b"]"
    tracemalloc.start()
    try:
        with Json(first_block_bytes=1 << 20).decode(io.BytesIO(text)) as batches:
            assert sum(batch.num_rows for batch in batches) == 40_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 12 << 20


def test_an_error_of_the_stream_is_not_an_end() -> None:
    """What the stream raises is raised, even where the array could be complete."""
    with pytest.raises(Fails):
        with Json(block_bytes=500).decode(FailingStream(b'[{"a":1}]')) as batches:
            list(batches)


def test_nan_is_text_as_in_ndjson() -> None:
    """Both share what a value looks like."""
    table = pa.table({"f": [1.5, float("nan")]})
    out = Collected()
    formats.format_by_name("json").encode(Table(table), out)
    assert json.loads(out) == [{"f": 1.5}, {"f": "NaN"}]
