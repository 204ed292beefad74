"""Rows with wide values are written as all others are, only in pieces."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from penstock.errors import ConfigurationError
from penstock.formats import _wide, format_by_name
from tests.formats.streams import Collected, Table

MEBIBYTE = 1 << 20
TEXTS = [
    "short",
    "x" * (3 * MEBIBYTE),
    'a"b,\n\\\t\x01é€\U0001f600' * (MEBIBYTE // 4),  # cut anywhere, within characters too
    None,
    "",
    "y" * (MEBIBYTE + 1),
]


def table() -> pa.Table:
    numbers = pa.array(range(len(TEXTS)))
    wide = pa.array(TEXTS, pa.string())
    return pa.table(
        {
            "id": numbers,
            "text": wide,
            "bytes": wide.cast(pa.binary()),
            "large": wide.cast(pa.large_string()),
            "large bytes": wide.cast(pa.large_binary()),
            "view": wide.cast(pa.string_view()),
            "named": wide.dictionary_encode(),
            "list": pa.array([None if text is None else [text, "b"] for text in TEXTS]),
            "f": pa.array([1.5, 0.1, None, 2.0, 0.0, -1.0]),
        }
    )


class Pieces(Collected):
    """A writer that knows the largest piece, too."""

    largest = 0

    def write(self, data: bytes, /) -> int:
        self.largest = max(self.largest, len(data))
        return super().write(data)


def written(name: str, what: pa.Table, **options: Any) -> Pieces:
    out = Pieces()
    format_by_name(name, options).encode(Table(what), out)
    return out


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("csv", {}),
        ("csv", {"quote": "'", "delimiter": ";", "null": "x"}),
        ("csv", {"quote": "*", "line_end": "crlf"}),
        ("tsv", {}),
        ("ndjson", {}),
        ("json", {}),
    ],
)
def test_wide_values_are_written_as_if_they_were_not(
    name: str, options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Byte for byte what the column writer makes of whole batches: text, bytes, NULL, lists and numbers beside them."""
    in_pieces = written(name, table(), **options)
    monkeypatch.setattr(_wide, "_LARGEST_BATCH_BYTES", 1 << 40)
    monkeypatch.setattr(_wide, "_WIDE_BYTES", 1 << 40)
    whole = written(name, table(), **options)
    assert in_pieces == whole
    assert in_pieces.writes > whole.writes


def test_a_quote_inside_a_wide_value_is_doubled() -> None:
    """Wherever it stands, at its ends and between two pieces."""
    texts = pa.table({"id": [1, 2], "text": ["*" * MEBIBYTE + "x*y" * MEBIBYTE, "a"]})
    in_pieces = written("csv", texts, quote="*")
    assert in_pieces.count(b"*") == 4 * MEBIBYTE + 4
    assert in_pieces.startswith(b"id,text\n1,****")
    assert in_pieces.endswith(b"x**y*\n2,*a*\n")


@pytest.mark.parametrize("name", ["csv", "ndjson", "json", "arrow", "arrows", "parquet"])
def test_a_wide_value_leaves_in_pieces(name: str) -> None:
    """No piece is as large as the value, so that whoever stores them holds a little of it at a time."""
    out = written(name, pa.table({"id": [1], "text": ["x" * (16 * MEBIBYTE)]}))
    assert out.largest <= 2 * MEBIBYTE


@pytest.mark.parametrize("name", ["csv", "ndjson"])
def test_wide_text_that_is_no_text_is_refused(name: str) -> None:
    """Also where it is invalid in the middle; the error names the column."""
    data = b"x" * (2 * MEBIBYTE) + b"\x80" * 9 + b"y" * (2 * MEBIBYTE)
    broken = pa.array([data]).view(pa.string())
    with pytest.raises(ConfigurationError, match="column 'broken' has a value that is no string"):
        written(name, pa.table({"broken": broken}))


def test_wide_rows_of_parquet_are_row_groups_of_their_own() -> None:
    """None waits for the next row to come before it is written, and all read back."""
    pq = pytest.importorskip("pyarrow.parquet")
    texts = ["a", "x" * (20 * MEBIBYTE), "b", "y" * (20 * MEBIBYTE)]
    out = written("parquet", pa.table({"text": texts}))
    file = pq.ParquetFile(pa.BufferReader(bytes(out)))
    assert file.read()["text"].to_pylist() == texts
    assert file.metadata.num_row_groups >= 2
