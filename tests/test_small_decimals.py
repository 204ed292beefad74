"""Numbers with more digits behind the point than a decimal type has at all: written with every digit, or refused by name."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import penstock
from penstock.errors import SourceError
from penstock.flow.decimals import unwritable_decimal

SMALL = Decimal("12345E-54")
WIDER = [
    (pa.decimal32(5, 9), pa.decimal32(5, 10)),
    (pa.decimal64(5, 18), pa.decimal64(5, 19)),
    (pa.decimal128(5, 38), pa.decimal128(5, 39)),
    (pa.decimal256(5, 76), pa.decimal256(5, 77)),
    (pa.decimal128(5, -38), pa.decimal128(5, -39)),
]
AROUND: list[Any] = [
    lambda kind: kind,
    pa.list_,
    lambda kind: pa.struct({"a": pa.int8(), "b": kind}),
    lambda kind: pa.map_(pa.string(), pa.list_(kind)),
    lambda kind: pa.dictionary(pa.int8(), kind),
]


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)


def test_a_python_decimal_has_all_its_digits() -> None:
    """In a type that Arrow writes; it had one of which Arrow makes ``<scale out of range, ...>``."""
    rows = [{"v": SMALL, "w": [SMALL]}, {"v": Decimal("0.5"), "w": None}]
    penstock.copy([{"v": row["v"]} for row in rows], "out.csv")
    assert [Decimal(line) for line in Path("out.csv").read_text("utf-8").split()[1:]] == [SMALL, Decimal("0.5")]
    penstock.copy(rows, "out.ndjson")
    written = [json.loads(line, parse_float=Decimal) for line in Path("out.ndjson").read_text("utf-8").splitlines()]
    assert written == [{"v": SMALL, "w": [SMALL]}, {"v": Decimal("0.5"), "w": None}]


@pytest.mark.parametrize(("last", "beyond"), WIDER)
@pytest.mark.parametrize("around", AROUND)
def test_what_arrow_can_not_write_is_found(last: pa.DataType, beyond: pa.DataType, around: Any) -> None:
    """Wherever it is in a column; and the last type that it can write is not refused, which writing it shows."""
    assert unwritable_decimal(pa.schema({"a": pa.int8(), "v": around(last)})) is None
    found = unwritable_decimal(pa.schema({"a": pa.int8(), "v": around(beyond)}))
    assert found is not None
    assert f"column 'v' has {beyond}" in found
    storage = pa.py_buffer(bytes(4 * [1, 0, 0, 0]) + bytes(16))
    for kind, is_written in ((last, True), (beyond, False)):
        text = pa.Array.from_buffers(kind, 1, [None, storage]).cast(pa.string())[0].as_py()
        assert text.startswith("<scale out of range") is not is_written


def test_arrow_data_of_such_a_type_is_refused() -> None:
    """In this process and in a file, with the name of the column; nothing is written."""
    data = pa.table({"v": pa.array([Decimal("1E-50")], pa.decimal128(5, 50))})
    with pa.OSFile("in.arrows", "wb") as file, pa.ipc.new_stream(file, data.schema) as writer:
        writer.write_table(data)
    for source in (data, data.to_batches()[0], data.to_reader(), "in.arrows"):
        with pytest.raises(
            SourceError, match=r"column 'v' has decimal128\(5, 50\), and Arrow writes no scale beyond 38"
        ):
            penstock.copy(source, "out.csv")
    assert not Path("out.csv").exists()
