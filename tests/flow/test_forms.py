"""What values look like in text formats."""

from __future__ import annotations

import pyarrow as pa
import pytest

from penstock.flow.forms import form_of

TYPES = [
    *(pa.null(), pa.bool_(), pa.int8(), pa.uint64(), pa.float16(), pa.float32(), pa.float64()),
    *(pa.decimal128(12, 2), pa.decimal256(50, 2), pa.string(), pa.large_string(), pa.binary(), pa.large_binary()),
    *(pa.binary(16), pa.date32(), pa.date64(), pa.time32("s"), pa.time64("us"), pa.timestamp("us")),
    *(pa.timestamp("ns", "UTC"), pa.duration("us"), pa.month_day_nano_interval(), pa.list_(pa.int64())),
    *(pa.large_list(pa.string()), pa.struct([("a", pa.int64())]), pa.map_(pa.string(), pa.int64())),
    *(pa.dictionary(pa.int32(), pa.string()), pa.uuid(), pa.string_view()),
]


@pytest.mark.parametrize("format_name", ["csv", "ndjson", "json", "tsv"])
@pytest.mark.parametrize("arrow_type", TYPES, ids=str)
def test_every_type_of_arrow_has_a_form(arrow_type: pa.DataType, format_name: str) -> None:
    """So that a plan never leaves the column empty."""
    assert form_of(str(arrow_type), format_name)


def test_formats_with_arrows_own_types_have_no_forms() -> None:
    """They hold the type itself."""
    assert form_of("int64", "parquet") == form_of("int64", "arrow") == form_of("unheard of", "csv") == ""
