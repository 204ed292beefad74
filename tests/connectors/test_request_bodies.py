"""Cutting a stream into bodies: nothing lost, nothing cut in two, each within its size if it can be."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from penstock.connectors.http import _request_bodies
from penstock.connectors.http._request_bodies import CUTTERS
from penstock.errors import BudgetExceeded, SinkError
from tests.connectors.parts import EndlessStream, data_stream, reading

SIZES = st.integers(1, 200)
TEXTS = st.lists(st.lists(st.text(alphabet='a",\n\r;é', max_size=12), min_size=2, max_size=2), max_size=30)


def bodies(name: str, data: bytes, size: int) -> list[bytes]:
    """What is cut of ``data``."""
    return list(CUTTERS[name](data_stream(data), size))


@pytest.mark.parametrize("ending", [b"\n", b""])
@settings(max_examples=50)
@given(st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), max_size=40), SIZES)
def test_lines_stay_whole(ending: bytes, lines: list[bytes], size: int) -> None:
    """Put together, they are what came; also without an end of the last line."""
    data = b"\n".join(lines) + (ending if lines else b"")
    found = bodies("ndjson", data, size)
    assert b"".join(found) == data
    assert all(body.endswith(b"\n") for body in found[:-1])
    assert all(len(body) <= size or body.count(b"\n") <= 1 for body in found)
    assert len(found) <= 1 or all(len(a) + len(b.split(b"\n")[0]) + 1 > size for a, b in pairwise(found))


@settings(max_examples=50)
@given(TEXTS, SIZES)
def test_csv_records_stay_whole_and_have_their_header(rows: list[list[str]], size: int) -> None:
    """Quotes, commas and line ends inside of fields are no ends of records."""
    written = io.StringIO()
    csv.writer(written, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([["a", "b\nc"], *rows])
    found = [
        list(csv.reader(io.StringIO(body.decode(), newline="")))
        for body in bodies("csv", written.getvalue().encode(), size)
    ]
    assert all(header == ["a", "b\nc"] and records for header, *records in found)
    assert [row for _, *records in found for row in records] == rows


@pytest.mark.parametrize(
    ("name", "data"),
    [("json", b"[" + b",".join([b'{"a":1}'] * 50_000) + b"]"), ("ndjson", b'{"a":1}\n' * 50_000)],
)
def test_a_body_takes_its_size_in_memory(name: str, data: bytes) -> None:
    """And what is read of the stream, however small its records are."""
    cut = CUTTERS[name](data_stream(data), len(data) * 2)
    tracemalloc.start()
    try:
        assert next(cut).count(b"1") == 50_000
        assert tracemalloc.get_traced_memory()[1] < 4 * len(data)
    finally:
        tracemalloc.stop()


@settings(max_examples=50)
@given(st.lists(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=9)), max_size=30), SIZES)
def test_json_elements_stay_whole(records: list[dict[str, Any]], size: int) -> None:
    """Each body is an array of its own, within the size where one element is."""
    for indent in (None, 1):
        found = bodies("json", json.dumps(records, indent=indent).encode(), size)
        assert [record for body in found for record in json.loads(body)] == records
        assert all(len(body) <= size or len(json.loads(body)) == 1 for body in found)


@pytest.mark.parametrize("name", list(CUTTERS))
def test_no_records_are_no_bodies(name: str) -> None:
    """An empty stream, and one with nothing but a beginning."""
    assert bodies(name, {"csv": b"a,b\n", "tsv": b"a\tb\n", "json": b"[\n]\n"}.get(name, b""), 100) == []


@pytest.mark.parametrize("name", ["ndjson", "csv"])
def test_a_large_stream_is_cut_as_it_comes(name: str) -> None:
    """Not more is read than what is sent, and a little."""
    stream = data_stream(b"a\n" + b"12345678\n" * 1_000_000)
    first = next(CUTTERS[name](stream, 100_000))
    assert 99_000 < len(first) <= 100_000
    assert stream.tell() < 300_000


@pytest.mark.parametrize(
    ("data", "said"), [(b'{"a": 1}', "is no JSON array"), (b'[{"a": 1},', "ends inside"), (b"", "ends")]
)
def test_what_is_no_array_is_an_error(data: bytes, said: str) -> None:
    """Half of one, too."""
    with pytest.raises(SinkError, match=said):
        bodies("json", data, 10)


@pytest.mark.parametrize("name", ["ndjson", "csv"])
def test_a_record_without_an_end_is_an_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it fills the memory."""
    monkeypatch.setattr(_request_bodies, "LARGEST_RECORD_BYTES", 1 << 20)
    stream = EndlessStream()
    with pytest.raises(BudgetExceeded, match=r"a record is larger than 1\.0 MiB"):
        next(CUTTERS[name](reading(stream), 1000))
    assert stream.given < 8 << 20
