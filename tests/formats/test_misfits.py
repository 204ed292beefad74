"""``on_type_loss`` where the types were found in the first rows: JSON, NDJSON, and CSV with ``infer_types``."""

from __future__ import annotations

import io
import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, strategies as st

from penstock.errors import SourceError
from penstock.flow.contracts import Format
from penstock.flow.losses import Losses, OnTypeLoss
from penstock.formats.csv import Csv
from penstock.formats.json import Json
from penstock.formats.ndjson import Ndjson


def read(kind: Format, data: bytes, on_type_loss: OnTypeLoss, losses: Losses | None = None) -> pa.Table:
    with kind.with_losses(on_type_loss, losses or Losses()).decode(io.BytesIO(data)) as batches:
        return pa.Table.from_batches(list(batches), batches.schema)


def lines(*values: str | float | None) -> bytes:
    """Return a line for each value; text is JSON already."""
    return "".join(f'{{"v":{value if isinstance(value, str) else json.dumps(value)}}}\n' for value in values).encode()


@pytest.mark.parametrize(
    ("late", "kind"),
    [
        ('"x"', "string"),
        ("1.5", "number"),
        ("true", "boolean"),
        ("[1]", "array"),
        ('{"b":1}', "object"),
        ("1e3", "number"),
    ],
)
def test_with_warn_a_later_value_of_another_type_is_null(late: str, kind: str) -> None:
    """Only that value; it is counted, and the values beside it on the line stay."""
    data = b'{"v":1,"s":"y"}\n' * 500 + f'{{"v":{late},"s":"kept"}}\n{{"v":7,"s":null}}\n'.encode()
    losses = Losses()
    table = read(Ndjson(block_bytes=512, first_block_bytes=512), data, "warn", losses)
    assert table.schema.types == [pa.int64(), pa.string()]
    assert table.slice(499).to_pylist() == [{"v": 1, "s": "y"}, {"v": None, "s": "kept"}, {"v": 7, "s": None}]
    [loss] = losses.told()
    assert (loss.column, loss.reason, loss.count) == ("v", f"{kind} that does not fit int64", 1)


def test_with_warn_the_first_value_decides() -> None:
    """Where the first rows already have several kinds; each value that is lost is counted once."""
    losses = Losses()
    table = read(Ndjson(), lines(None, 1, '"three"', 2.5, '"four"', '{"v":5}'), "warn", losses)
    assert table.to_pydict() == {"v": [None, 1.0, None, 2.5, None, None]}
    assert sum(loss.count for loss in losses.told()) == 3


def test_with_warn_numbers_that_would_be_bent_are_null() -> None:
    """A double is exact, or it is NULL; in the first rows and later."""
    losses = Losses()
    data = lines(0.5, "12345678901234567890123") + lines(0.25) * 100 + lines("0.12345678901234567890", 0.75)
    table = read(Ndjson(block_bytes=256, first_block_bytes=256), data, "warn", losses)
    values = table.column("v").to_pylist()
    assert (values[1], values[-2], values[-1], len(values)) == (None, None, 0.75, 104)
    assert sum(loss.count for loss in losses.told()) == 2


def test_with_text_columns_of_several_kinds_are_text() -> None:
    """Each value as JSON writes it, with all digits, and text as it is; later blocks, too. Other columns keep their type."""
    first = lines("1.50", '"x"', '{"a": [1, null, true]}', None)
    data = first + lines("0.10") * 100 + lines("true", '"\\ud83d\\ude00\\n"')
    data = data.replace(b"}\n", b',"n":1}\n')
    table = read(Ndjson(block_bytes=256, first_block_bytes=256), data, "text")
    assert table.schema.types == [pa.string(), pa.int64()]
    values = table.column("v").to_pylist()
    assert values[:4] == ["1.50", "x", '{"a":[1,null,true]}', None]
    assert set(values[4:-2]) == {"0.10"}
    assert values[-2:] == ["true", "\N{GRINNING FACE}\n"]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (('[1, "a"]',), '[1,"a"]'),
        (('{"a":1}', '{"a":"x"}'), '{"a":1}'),
        (("12345678901234567890123", "0.5"), "12345678901234567890123"),
    ],
)
def test_with_text_what_no_type_holds_is_text(values: tuple[str, ...], text: str) -> None:
    """Lists of several kinds, objects whose fields change their kind, numbers that a double would bend."""
    assert read(Ndjson(), lines(*values), "text").column("v").to_pylist()[0] == text


def test_with_text_a_later_kind_is_an_error_that_says_what_to_do() -> None:
    """A column that was settled can not become text any more: more may be looked at, or the value be NULL."""
    with pytest.raises(
        SourceError, match=r"line 101: 'v' is \"x\", which does not fit int64 .*first_block_bytes.*warn"
    ):
        read(Ndjson(block_bytes=256, first_block_bytes=256), lines(1) * 100 + lines('"x"'), "text")


@pytest.mark.parametrize("on_type_loss", ["warn", "text"])
@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"a":1}\nnot json\n', "line 2: not JSON"),
        (b'{"a":1}\n{"a":1,"a":"x"}\n', "line 2: "),
        (b'{"a":"\xff"}\n', "line 1: not UTF-8"),
        (b'{"a":1}\n{"a":1', "line 2: not JSON"),
    ],
)
def test_what_is_no_json_stays_an_error(on_type_loss: OnTypeLoss, data: bytes, said: str) -> None:
    """It is nothing that a type could hold."""
    with pytest.raises(SourceError) as caught:
        read(Ndjson(), data, on_type_loss)
    assert str(caught.value).startswith(said)


def test_a_later_field_stays_an_error() -> None:
    """There is no column for it, so that nothing of it would be left."""
    with pytest.raises(SourceError, match="line 101: an unexpected field 'w'"):
        read(Ndjson(block_bytes=256, first_block_bytes=256), lines(1) * 100 + b'{"v":1,"w":2}\n', "warn")


def test_json_arrays_do_the_same() -> None:
    """Records are counted instead of lines."""
    data = b'[{"v": 1}, {"v": "x"}]'
    assert read(Json(), data, "warn").to_pydict() == {"v": [1, None]}
    assert read(Json(), data, "text").to_pydict() == {"v": ["1", "x"]}
    with pytest.raises(SourceError, match=r"record 2: 'v' is a string, where it was a number before .*on_type_loss"):
        read(Json(), data, "error")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inside: (
        st.lists(inside, max_size=3) | st.dictionaries(st.text("ab", min_size=1, max_size=1), inside, max_size=2)
    ),
    max_leaves=6,
)


@given(st.lists(VALUES, min_size=1, max_size=8))
def test_any_values_can_be_read(values: list[Any]) -> None:
    """With text nothing is lost: a column that became text has each value in full. With warn, what is lost is counted."""
    data = lines(*map(json.dumps, values))
    losses = Losses()
    warned = read(Ndjson(), data, "warn", losses)
    assert warned.num_rows == len(values)
    assert warned.column("v").null_count == sum(value is None for value in values) + sum(
        loss.count for loss in losses.told()
    )
    told = read(Ndjson(), data, "text")
    if told.schema.field("v").type == pa.string():
        for value, text in zip(values, told.column("v").to_pylist(), strict=True):
            assert text == value if value is None or isinstance(value, str) else json.loads(text) == value


def test_csv_with_warn_makes_what_does_not_fit_null() -> None:
    """In columns whose types were guessed; NULL stays NULL, text is not touched, later blocks are as the first."""
    data = (
        b"n,f,b,d,s\n"
        + b"1,0.5,true,2024-01-02,x\n" * 100
        + b',x,maybe,never,"a ""b"""\nnope,,,,\n3,1e3,f,2024-01-03,""\n'
    )
    losses = Losses()
    table = read(Csv(infer_types=True, block_bytes=256), data, "warn", losses)
    assert table.schema.types == [pa.int64(), pa.float64(), pa.bool_(), pa.date32(), pa.string()]
    assert [list(row.values())[:3] for row in table.slice(99).to_pylist()] == [
        [1, 0.5, True],
        [None, None, None],
        [None, None, None],
        [3, 1000.0, False],
    ]
    assert table.column("s").to_pylist()[-3:] == ['a "b"', None, ""]
    assert table.column("d").null_count == 2
    assert {(loss.column, loss.count) for loss in losses.told()} == {("n", 1), ("f", 1), ("b", 1), ("d", 1)}
    assert all(loss.reason.startswith("text that is no ") for loss in losses.told())


@pytest.mark.parametrize(
    ("first", "fitting", "misfits"),
    [
        (
            "1",
            ["-5", " 7 ", "0x1F", "9223372036854775807", "007"],
            ["x", "1.5", "9223372036854775808", "1e3", "- 1", "--1"],
        ),
        ("0.5", ["-5", " 7 ", "1e3", "inf", "-Infinity", "NaN", ".5", "5."], ["x", "1,5", "1e", "info", "0x1F", "1 2"]),
        ("true", ["t", "1", "FALSE", "0"], ["yes", "", "tr", "2"]),
        ("2024-01-02", ["1999-12-31"], ["2024-02-30", "2024-01", "x", "2024-01-02 03:04:05"]),
        ("2024-01-02 03:04:05", ["2024-01-02T03:04:05", "2024-01-02"], ["2024-01-02 25:00:00", "03:04:05", "later"]),
        ("03:04:05", ["23:59", "00:00:00"], ["24:00:00", "3:04", "2024-01-02"]),
    ],
)
def test_csv_with_warn_keeps_exactly_what_would_have_been_read(
    first: str, fitting: list[str], misfits: list[str]
) -> None:
    """What Arrow takes for a value of the type stays one beside others; all others are NULL, and counted."""
    start = "v\n" + f"{first}\n" * 100
    alone = read(Csv(infer_types=True, block_bytes=64), (start + "\n".join(fitting) + "\n").encode(), "error")
    mixed = "".join(f'{value}\n"{misfit}"\n' for value, misfit in zip(fitting * 9, misfits * 9, strict=False))
    losses = Losses()
    table = read(Csv(infer_types=True, block_bytes=64), (start + mixed).encode(), "warn", losses)
    kept = table.column("v").to_pylist()[100:]
    expected = (alone.column("v").to_pylist()[100:] * 9)[: len(kept) // 2]
    assert table.schema == alone.schema
    assert list(map(str, kept[::2])) == list(map(str, expected))
    assert kept[1::2] == [None] * len(kept[1::2])
    [loss] = losses.told()
    assert loss.count == len(kept) // 2


@pytest.mark.parametrize("on_type_loss", ["error", "text"])
def test_csv_says_where_and_what_to_do(on_type_loss: OnTypeLoss) -> None:
    """The line, the column, the value; and that all columns are text where no types are guessed."""
    data = b"n\n" + b"1\n" * 200 + b"nope\n"
    with pytest.raises(SourceError, match=r"line 202: column 'n': .*'nope' \(infer_types .* text; .* warn"):
        read(Csv(infer_types=True, block_bytes=256), data, on_type_loss)


def test_csv_that_is_wrong_stays_an_error_with_warn() -> None:
    """A field too many is nothing that a type could hold; nor is text that is no UTF-8."""
    for row in (b"1,2,3\n", b"1,\xff\n"):
        with pytest.raises(SourceError, match="line 3: "):
            read(Csv(infer_types=True, block_bytes=8), b"a,b\n1,x\n" + row, "warn")
