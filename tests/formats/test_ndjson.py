"""NDJSON keeps every value, and says where a line is wrong."""

from __future__ import annotations

import datetime as dt
import io
import json
import math
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, strategies as st

from penstock.errors import BudgetExceeded, ConfigurationError, SourceError
from penstock.formats.ndjson import Ndjson
from tests.formats.streams import FailingStream, Fails, Table, decoded, encoded, rows, table_of

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "s": st.none() | TEXT,
                "i": st.none() | st.integers(-(2**63), 2**63 - 1),
                "f": st.floats(allow_nan=False, allow_infinity=False),
                "b": st.booleans(),
            }
        ),
        min_size=1,
        max_size=5,
    )
)
def test_round_trip(records: list[dict[str, Any]]) -> None:
    """Text with anything in it, all of int64, any finite double, and NULL come back as they were."""
    schema = pa.schema([("s", pa.string()), ("i", pa.int64()), ("f", pa.float64()), ("b", pa.bool_())])
    data = encoded("ndjson", Table(pa.Table.from_pylist(records, schema)))
    assert [json.loads(line) for line in data.split(b"\n")[:-1]] == records
    assert rows(decoded("ndjson", data, schema)) == records


def test_values_are_written_exactly() -> None:
    """Decimals are numbers with all their digits, instants have an offset, bytes are base64, nothing is left out."""
    moment = dt.datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC)
    data = encoded(
        "ndjson",
        table_of(
            d=pa.array([Decimal("99999999999999999999999999999999999.90")], pa.decimal128(38, 2)),
            u=pa.array([2**64 - 1], pa.uint64()),
            f=pa.array([0.1], pa.float32()),
            t=pa.array([moment], pa.timestamp("us", "Europe/Paris")),
            w=pa.array([moment.replace(tzinfo=None)]),
            y=pa.array([dt.date(1, 1, 1)]),
            b=pa.array([b"\0\xff"]),
            n=pa.array([None], pa.string()),
            l=pa.array([[1, None]]),
            s=pa.array([{"k": None}]),
            g=pa.array([bytes(15) + b"\1"], pa.uuid()),
        ),
    )
    assert data == (
        b'{"d":99999999999999999999999999999999999.90,"u":18446744073709551615,"f":0.1,'
        b'"t":"2024-01-02T04:04:05.000006+01:00","w":"2024-01-02T03:04:05.000006","y":"0001-01-01","b":"AP8=",'
        b'"n":null,"l":[1,null],"s":{"k":null},"g":"00000000-0000-0000-0000-000000000001"}\n'
    )


@given(
    st.lists(st.none() | st.floats() | st.sampled_from([math.nan, math.inf, -math.inf]), min_size=1, max_size=8),
    st.sampled_from(["float", "double"]),
)
def test_numbers_that_json_lacks_become_strings(values: list[float | None], kind: str) -> None:
    """NaN and infinities are written as PostgreSQL does; the numbers beside them stay numbers, exactly."""
    array = pa.array(values, pa.type_for_alias(kind))
    data = encoded("ndjson", table_of(f=array, s=pa.array(["NaN"] * len(values))))
    read = [json.loads(line) for line in data.splitlines()]
    for value, record in zip(array.to_pylist(), read, strict=True):
        assert record["s"] == "NaN"
        if value is not None and not math.isfinite(value):
            assert record["f"] == ("NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity")
        else:
            assert record["f"] == (value if kind == "double" or value is None else pytest.approx(value, rel=1e-6))


def test_half_precision_numbers_are_written() -> None:
    """float16 has no text form of its own in Arrow; its neighbours of NaN are written all the same."""
    data = encoded("ndjson", table_of(f=pa.array([1.5, math.nan], pa.float16())))
    assert data == b'{"f":1.5}\n{"f":"NaN"}\n'


def test_nan_inside_nested_values_is_refused_by_name() -> None:
    """It would become null without a word."""
    for column in (
        pa.array([[1.0, math.nan]]),
        pa.array([{"x": {"y": math.inf}}]),
        pa.array([[("k", math.nan)]], pa.map_(pa.string(), pa.float64())),
    ):
        with pytest.raises(ConfigurationError, match="column 'c' has NaN or infinity"):
            encoded("ndjson", table_of(c=column))


def test_two_columns_of_one_name_are_refused() -> None:
    """A JSON object can not hold both, and which is lost would be chance."""
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(ConfigurationError, match="two columns are called 'a'"):
        encoded("ndjson", Table(table))


def test_text_stays_text() -> None:
    """What looks like a date or number in quotes is not turned into one."""
    table = decoded(
        "ndjson", b'{"d":"2024-01-01","n":"007","x":null,"l":["2024-01-01"],"s":{"d":"2024-01-01 00:00:00"}}\n'
    )
    assert rows(table) == [
        {"d": "2024-01-01", "n": "007", "x": None, "l": ["2024-01-01"], "s": {"d": "2024-01-01 00:00:00"}}
    ]


def test_missing_fields_are_null_and_order_does_not_matter() -> None:
    """Fields are matched by name."""
    table = decoded("ndjson", b'{"a":1,"b":"x"}\n{"b":"y"}\n\n{"b":"z","a":3}\r\n')
    assert rows(table) == [{"a": 1, "b": "x"}, {"a": None, "b": "y"}, {"a": 3, "b": "z"}]


def test_nothing_at_all_is_no_rows() -> None:
    """An empty stream, or one of blank lines, is not an error."""
    for data in (b"", b"\n \n"):
        assert decoded("ndjson", data).num_rows == 0


def test_objects_without_fields_are_rows() -> None:
    """{} counts, and is written again."""
    table = decoded("ndjson", b"{}\n{}\n")
    assert table.num_rows == 2 or sum(1 for _ in rows(table)) == 2
    assert encoded("ndjson", Table(table)) == b"{}\n{}\n"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"a":1}\nnot json\n', "line 2: not JSON: Expecting value: not json"),
        (b'{"a":1}\n\n[1]\n', "line 3: not a JSON object: [1]"),
        (b'[{"a":1}]', "line 1: not a JSON object"),
        (b'{"a":1}\n{"a":1', "line 2: not JSON"),
        (b'{"a":"\xff"}\n', "line 1: not UTF-8"),
        (b'{"a":1}\n{"a":"x"}\n', "line 2: 'a' is a string, where it was a number before"),
        (b'{"a":0.5}\n{"a":18446744073709551615}\n', "line 2: 'a' is 18446744073709551615, which a double"),
        (b'{"s":"x","l":[0.1234567890123456789]}\n', "line 1: 'l' is 0.1234567890123456789, which a double"),
        (b'{"s":{"x":123456789012345678901234567890}}\n', "line 1: 's' is 123456789012345678901234567890"),
        (b'{"a":1}\n{"a":1E-400}\n', "line 2: 'a' is 1E-400, which a double can not hold exactly"),
        (b'{"a":123456789012345e+300}\n', "line 1: 'a' is 1.23456789012345E+314, which a double"),
    ],
)
def test_what_is_wrong_is_an_error_that_names_the_line(data: bytes, said: str) -> None:
    """No line is skipped, no number is bent without a word."""
    with pytest.raises(SourceError) as caught:
        decoded("ndjson", data)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    "number", ["0.30000000000000004", "1e22", "1e-307", "1.5E+300", "9007199254740993", "-9223372036854775808", "1.0"]
)
def test_numbers_that_fit_exactly_are_not_refused(number: str) -> None:
    """All of int64, and every double that prints as it was written, pass, also beside long digits in text."""
    read = rows(decoded("ndjson", f'{{"a":{number},"f":0.5,"s":":12345678901234567890"}}\n'.encode()))
    assert next(iter(read))["a"] == json.loads(number)


@pytest.mark.parametrize(
    ("late", "said"),
    [
        (b'{"a":1.5}', "'a' is 1.5, which does not fit int64"),
        (b'{"a":"x"}', "'a' is \"x\", which does not fit int64"),
        (b'{"a":1,"b":2}', "an unexpected field 'b'"),
        (b"x", "not JSON"),
    ],
)
def test_later_lines_keep_to_the_types_of_the_beginning(late: bytes, said: str) -> None:
    """Fields and types are settled by the first block; what does not fit later is named with its line."""
    data = b'{"a":1}\n' * 500 + late + b"\n"
    with pytest.raises(SourceError) as caught:
        with Ndjson(block_bytes=512, first_block_bytes=512).decode(io.BytesIO(data)) as batches:
            list(batches)
    assert str(caught.value).startswith("line 501: ")
    assert said in str(caught.value)
    assert "beginning of the data" in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (b'{"a":"x"}', "'a' is a string, where it was a number before"),
        (b'{"a"}', "not JSON: "),
        (b"[]", "not a JSON object"),
    ],
)
def test_the_line_is_found_among_many(wrong: bytes, said: str) -> None:
    """Also the one that is wrong only together with others, and at once: to try each line took a minute here."""
    with pytest.raises(SourceError) as caught:
        decoded("ndjson", b'\n{"a":1}\r\n' * 150_000 + wrong + b"\n" * 100_000 + b"x")
    assert str(caught.value).startswith(f"line 300001: {said}")


@pytest.mark.parametrize("blank", [b"", b"\n" * 1000])
def test_a_late_line_is_found_among_blank_ones(blank: bytes) -> None:
    """Lines with nothing in them are no reason for anything."""
    data = b'{"a":1}\n' * 500 + blank + b'{"a":"x"}\n' + blank
    with pytest.raises(SourceError, match=f"^line {501 + len(blank)}: 'a' is \"x\", which does not fit int64"):
        with Ndjson(block_bytes=4096, first_block_bytes=512).decode(io.BytesIO(data)) as batches:
            list(batches)


@pytest.mark.parametrize("block_bytes", [1, 7, 64])
def test_blocks_of_any_size_give_the_same_rows(block_bytes: int) -> None:
    """Lines longer than a block, and a last line without an end, are whole."""
    data = b"\n".join(json.dumps({"n": number, "s": "x" * number}).encode() for number in range(40))
    with Ndjson(block_bytes=block_bytes, first_block_bytes=64).decode(io.BytesIO(data)) as batches:
        read = [row for batch in batches for row in batch.to_pylist()]
    assert read == [{"n": number, "s": "x" * number} for number in range(40)]


def test_an_endless_line_is_refused() -> None:
    """A file without line ends does not go into memory whole."""
    with pytest.raises(BudgetExceeded, match="a record at byte 0"):
        with Ndjson(max_record_bytes=1 << 20).decode(io.BytesIO(b'{"a":"' + b"x" * (8 << 20))) as batches:
            list(batches)


def test_an_error_of_the_stream_is_not_an_end() -> None:
    """What the stream raises is raised, after what came before it."""
    seen = 0
    stream = FailingStream(b'{"a":1}\n' * 1000)
    with Ndjson(block_bytes=500, first_block_bytes=500).decode(stream) as batches, pytest.raises(Fails):
        for batch in batches:
            seen += batch.num_rows
    assert seen > 900
