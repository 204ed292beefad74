"""CSV as others have it: other delimiters, quotes, NULLs, line ends, and no header line."""

from __future__ import annotations

import csv
import io
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, strategies as st

from penstock import formats
from penstock.errors import ConfigurationError, SourceError
from penstock.formats.csv import Csv, Tsv
from tests.formats.streams import Collected, Table

CELLS = st.none() | st.text(st.sampled_from("ab,;\t|'\"\n\r\\N^ \0é"), max_size=8)


def written(table: pa.Table, **options: Any) -> bytes:
    """What CSV with these options makes of ``table``."""
    out = Collected()
    assert formats.format_by_name("csv", options).encode(Table(table), out) == table.num_rows
    return bytes(out)


def read(data: bytes, schema: pa.Schema | None = None, **options: Any) -> pa.Table:
    """What CSV with these options reads from ``data``."""
    with formats.format_by_name("csv", options).decode(io.BytesIO(data), schema) as batches:
        return pa.Table.from_batches(list(batches), batches.schema)


@given(
    st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=4),
    st.fixed_dictionaries(
        {
            "delimiter": st.sampled_from([",", ";", "\\t", "tab", "|", "^"]),
            "quote": st.sampled_from(['"', "'", "]", "*"]),
            "null": st.sampled_from(["", "NULL", "\\N", "-"]),
            "header": st.booleans(),
            "line_end": st.sampled_from(["lf", "crlf", "\\r\\n"]),
        }
    ),
)
def test_any_text_comes_back_in_any_dialect(
    cells: list[tuple[str | None, str | None]], options: dict[str, Any]
) -> None:
    """NULL, the empty string, and text that looks like NULL stay three things; quotes and line ends are text."""
    table = pa.table({"column1": [a for a, _ in cells], "column2": [b for _, b in cells]})
    table = table.cast(pa.schema([("column1", pa.string()), ("column2", pa.string())]))
    assert read(written(table, **options), **options).equals(table)


def test_how_it_looks() -> None:
    """Byte for byte."""
    table = pa.table({"a;b": [1, None], "t": ["it's", ""], "n": ["NULL", None]})
    assert written(table, delimiter=";", quote="'", null="NULL", line_end="crlf") == (
        b"'a;b';t;n\r\n1;'it''s';'NULL'\r\nNULL;'';NULL\r\n"
    )
    assert written(table, header=False, delimiter="tab") == b'1\t"it\'s"\t"NULL"\n\t""\t\n'


def test_the_standard_library_reads_it() -> None:
    """Python's csv module, told the same, finds the same fields."""
    table = pa.table({"a": ["x|y", 'say "hi"', "it's"], "b": ["1\n2", "", "z"]})
    text = written(table, delimiter="|", quote="'", line_end="crlf").decode()
    found = list(csv.reader(io.StringIO(text, newline=""), delimiter="|", quotechar="'"))
    assert found == [["a", "b"], *zip(*table.to_pydict().values(), strict=True)] or found == [
        ["a", "b"],
        *map(list, zip(*table.to_pydict().values(), strict=True)),
    ]


def test_large_and_sliced_columns_of_text_are_quoted_as_well() -> None:
    """Another quote character goes through the bytes of a column, wherever in its buffers the column begins."""
    table = pa.table({"a": pa.array(["''", '"', "é'"], pa.large_string()), "b": ["'", None, ""]})
    assert written(table.slice(1), quote="'", header=False) == "'\"',\n'é''',''\n".encode()
    assert written(table.slice(3), quote="'", header=False) == b""


@pytest.mark.parametrize("quote", ['"', "'"])
@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.float64()], ids=str)
def test_nan_and_infinities_are_spelled_as_postgresql_does(kind: pa.DataType, quote: str) -> None:
    """Without quotes, like any number, and they come back."""
    table = pa.table({"f": pa.array([1.5, None, float("nan"), float("inf"), float("-inf")], kind), "t": ["NaN"] * 5})
    data = written(table, quote=quote)
    assert data.replace(b"'", b'"') == b'f,t\n1.5,"NaN"\n,"NaN"\nNaN,"NaN"\nInfinity,"NaN"\n-Infinity,"NaN"\n'
    readable = table.schema.set(0, table.schema.field(0).with_type(pa.float64()))  # Arrow parses no half precision
    assert str(read(data, readable, quote=quote)["f"].to_pylist()) == "[1.5, None, nan, inf, -inf]"


def test_nan_inside_nested_values_is_refused_by_name() -> None:
    """As JSON inside CSV it would become null without a word."""
    with pytest.raises(ConfigurationError, match="column 'c' has NaN or infinity inside a list"):
        written(pa.table({"c": [[1.0, float("nan")]]}))


def test_a_number_is_null_only_as_told() -> None:
    """Where NULL is spelled, an empty number is a mistake."""
    schema = pa.schema([("a", pa.int64()), ("b", pa.string())])
    assert read(b"a,b\nNULL,\n1,NULL\n", schema, null="NULL").to_pylist() == [{"a": None, "b": ""}, {"a": 1, "b": None}]
    with pytest.raises(SourceError, match=r"line 2: column 'a': CSV conversion error to int64: invalid value ''"):
        read(b"a,b\n,x\n", schema, null="NULL")


def test_columns_without_a_header_line() -> None:
    """Numbered, or named by whoever knows; the first line is data, and the count starts there."""
    assert read(b"1,x\n2,y\n", header=False).to_pylist() == [
        {"column1": "1", "column2": "x"},
        {"column1": "2", "column2": "y"},
    ]
    assert read(b"1,x\n", header="no", names="id, name").to_pylist() == [{"id": "1", "name": "x"}]
    assert read(b"", header=False, names=["id"]).schema.names == ["id"]
    assert read(b"1,x\n", pa.schema([("n", pa.int8()), ("t", pa.string())]), header=False).to_pylist() == [
        {"n": 1, "t": "x"}
    ]
    with pytest.raises(SourceError, match="line 1 has 2 fields, and there are 1 names"):
        read(b"1,x\n", header=False, names="id")
    with pytest.raises(SourceError, match="line 2: Expected 2 columns, got 1"):
        read(b"1,x\n2\n", header=False)


def test_types_are_guessed_on_request() -> None:
    """As text from the command line, too."""
    assert read(b"1;x\n", header=False, delimiter=";", infer_types="true").schema.types == [pa.int64(), pa.string()]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            b"a;b\n1;it's o'clock\n",
            "line 2: a quote in the middle of a field (quote the field and double the quote: '')",
        ),
        (b"a;b\n1;'it\n", "line 2: a quoted field that never ends (the file was cut short, or a quote inside a field"),
    ],
)
def test_strictness_holds_for_any_quote(data: bytes, said: str) -> None:
    """A double quote is an ordinary character then."""
    with pytest.raises(SourceError) as caught:
        read(data, delimiter=";", quote="'")
    assert str(caught.value).startswith(said)
    assert read(b'a;b\n1;say "hi\n', delimiter=";", quote="'").to_pylist() == [{"a": "1", "b": 'say "hi'}]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"delimiter": ""}, "delimiter='': it takes one ASCII character"),
        ({"delimiter": ";;"}, "delimiter=';;': it takes one ASCII character"),
        ({"delimiter": "§"}, "delimiter='§': it takes one ASCII character"),
        ({"delimiter": 7}, "delimiter=7: it takes text"),
        ({"quote": "\n"}, "quote='\\n': it takes one ASCII character"),
        ({"quote": ","}, "quote=',': it takes another character than the delimiter"),
        ({"null": "a,b"}, "null='a,b': it takes text without delimiters"),
        ({"line_end": "cr"}, "line_end='cr': it takes lf or crlf"),
        ({"header": "maybe"}, "header='maybe': it takes true or false"),
        ({"names": "a,b"}, "names='a,b': it takes names only together with header=false"),
        ({"names": 7}, "names=7: it takes names separated by commas"),
        ({"block_bytes": "much"}, "block_bytes 'much' is not a size"),
        ({"delimeter": ";"}, "has no option 'delimeter': did you mean 'delimiter'?"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], said: str) -> None:
    """Option, value, and what it takes."""
    with pytest.raises(ConfigurationError) as caught:
        formats.format_by_name("csv", options)
    assert said in str(caught.value)


def test_sizes_may_be_written_as_people_do() -> None:
    """Options that are bytes take 64KiB."""
    assert formats.format_by_name("csv", {"block_bytes": "64KiB"}) == Csv(block_bytes=65536)


def test_the_dialect_tells_bytes_apart() -> None:
    """Options that change the bytes are in it, others are not; so bytes pass through only where they fit."""
    assert Csv().dialect == Csv(infer_types=True, block_bytes=7).dialect == "csv"
    assert Csv(delimiter=";", header=False).dialect == "csv(delimiter=';', header=False)"
    assert Tsv().dialect == "tsv"
    assert formats.format_by_name("tsv", {"null": "\\N"}).dialect == "tsv(null='\\\\N')"
    assert Csv(delimiter="\\t") == Csv(delimiter="\t")
    assert (Csv().concatenates, Csv(header=False).concatenates) == (False, True)


@pytest.mark.parametrize("option", ["delimiter", "quote"])
@pytest.mark.parametrize("character", ["7", "e", "T"])
def test_letters_and_digits_are_no_dialect(option: str, character: str) -> None:
    """They stand in numbers, which are not quoted."""
    with pytest.raises(ConfigurationError, match=f"{option}.*no letter and no digit"):
        formats.format_by_name("csv", {option: character})


@pytest.mark.parametrize(
    ("values", "characters"),
    [
        (pa.array([-1], pa.int8()), "-"),
        (pa.array([-1.5]), "+-."),
        (pa.array(["-1.50"]).cast(pa.decimal128(5, 2)), "+-."),
        (pa.array([0], pa.timestamp("us", "UTC")), "+-: ."),
        (pa.array([0], pa.date32()), "-"),
        (pa.array([0], pa.time64("us")), ":."),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_what_may_stand_in_a_value_without_quotes_is_refused(values: pa.Array, characters: str) -> None:
    """It would be one field for the writer and two for every reader. Text is quoted, so there anything goes."""
    table = pa.table({"a": values, "b": ["- :.+"]})
    for character in characters:
        for option in ("delimiter", "quote"):
            with pytest.raises(ConfigurationError, match=f"column 'a' is .* may have the {option} '"):
                written(table, **{option: character})
        assert read(written(table.select(["b"]), delimiter=character), delimiter=character).equals(table.select(["b"]))
